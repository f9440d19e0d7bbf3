package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"berth.dev/berth/internal/release"
)

// cluster is the one that the specs run on, with a service of its own.
type cluster struct {
	suite      release.Suite
	shape      shape
	berth      string
	home       string
	kubeconfig string
	kubectl    string
}

func newCluster(ctx context.Context, chosen options, suite release.Suite) (*cluster, error) {
	berth, err := filepath.Abs("bin/berth")
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(chosen.dir)
	if err != nil {
		return nil, err
	}
	made := &cluster{suite: suite, shape: shapeOf(chosen.suite, chosen.nodes), berth: berth, home: chosen.home, kubeconfig: chosen.kubeconfig}
	if made.home == "" {
		made.home, made.kubeconfig = filepath.Join(dir, "home"), filepath.Join(dir, "kubeconfig")
	}
	kubectl, err := made.run(ctx, "release", "path", "kubectl", "--version", suite.Version)
	if err != nil {
		return nil, err
	}
	made.kubectl = strings.TrimSpace(kubectl)
	return made, nil
}

// node is the directory in /proc of a node's container runtime.
type node string

// make starts the service, makes the cluster unless an earlier run left it, and
// loads the suite's images into its nodes.
func (c *cluster) make(ctx context.Context) ([]node, error) {
	steps := [][]string{
		{"up", "--detach"},
		{"group", "create", "--name", "conformance", "--output", "none"},
	}
	for _, step := range steps {
		if _, err := c.run(ctx, step...); err != nil {
			return nil, err
		}
	}
	if state, err := c.run(ctx, "aks", "show", "-g", "conformance", "-n", "conformance", "--query", "provisioningState", "-o", "tsv"); err != nil || strings.TrimSpace(state) != "Succeeded" {
		fmt.Fprintf(os.Stderr, "creating a cluster of %d nodes\n", c.shape.nodes)
		create := []string{"aks", "create", "-g", "conformance", "-n", "conformance", "--kubernetes-version", c.suite.Version,
			"--node-count", strconv.Itoa(c.shape.nodes), "--node-vm-size", c.shape.size, "--output", "none"}
		if len(c.shape.zones) > 0 {
			create = append(append(create, "--zones"), c.shape.zones...)
		}
		if _, err := c.run(ctx, create...); err != nil {
			return nil, err
		}
	}
	if _, err := c.run(ctx, "aks", "get-credentials", "--admin", "-g", "conformance", "-n", "conformance",
		"--file", c.kubeconfig, "--overwrite-existing"); err != nil {
		return nil, err
	}
	return c.loadImages(ctx)
}

// loadImages gives every node the images under upstream's names, and returns the
// nodes: they reach no registry.
func (c *cluster) loadImages(ctx context.Context) ([]node, error) {
	fmt.Fprintf(os.Stderr, "loading the images of the tests into %d nodes\n", c.shape.nodes)
	nodes, err := c.nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range nodes {
		socket := filepath.Join(string(one), "root/run/containerd/containerd.sock")
		command := exec.CommandContext(ctx, c.suite.Loader, "--address", socket, "--namespace", "k8s.io", "images", "import", c.suite.Images)
		if output, err := command.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("loading %s: %w: %s", c.suite.Images, err, tail(output))
		}
	}
	return nodes, nil
}

// nodes are the processes named containerd in the service's control groups.
func (c *cluster) nodes(ctx context.Context) ([]node, error) {
	status, err := c.run(ctx, "status", "-o", "json")
	if err != nil {
		return nil, err
	}
	var service struct {
		Instance string `json:"instance"`
	}
	if err := json.Unmarshal([]byte(status), &service); err != nil || service.Instance == "" {
		return nil, fmt.Errorf("reading the service's status: %w", errors.Join(err, errors.New("it names no instance")))
	}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil, err
	}
	var nodes []node
	for _, name := range names {
		process := filepath.Dir(name)
		command, _ := os.ReadFile(name) // it may have ended meanwhile
		groups, _ := os.ReadFile(filepath.Join(process, "cgroup"))
		if strings.TrimSpace(string(command)) == "containerd" && strings.Contains(string(groups), "/berth-"+service.Instance+"/") {
			nodes = append(nodes, node(process))
		}
	}
	if len(nodes) != c.shape.nodes {
		return nil, fmt.Errorf("found %d container runtimes of the service, want %d: berth down --purge with BERTH_HOME=%s removes a cluster of another size",
			len(nodes), c.shape.nodes, c.home)
	}
	return nodes, nil
}

// purge removes the service and all that it made.
func (c *cluster) purge() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	_, err := c.run(ctx, "down", "--purge")
	return err
}

// run runs one of Berth's commands against the service.
func (c *cluster) run(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, c.berth, arguments...)
	command.Env = append(os.Environ(), "BERTH_HOME="+c.home)
	var output, failure bytes.Buffer
	command.Stdout, command.Stderr = &output, &failure
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("berth %s: %w: %s", strings.Join(arguments, " "), err, tail(failure.Bytes()))
	}
	return output.String(), nil
}
