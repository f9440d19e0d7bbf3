package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// idle is for how long a stopped cluster is looked at.
const idle = 2 * time.Second

// measurePower stops and starts a cluster of two nodes.
func measurePower(ctx context.Context, scratch string, runs int) ([]samples, error) {
	raw := raw{dir: filepath.Join(scratch, "raw")}
	var err error
	if raw.artifacts, err = artifacts(); err != nil {
		return nil, err
	}
	stop := samples{name: "stop of a cluster with two nodes", limit: 5}
	memory := samples{name: "memory of a stopped cluster", unit: "MB", limit: 0}
	cpu := samples{name: "CPU time of a stopped cluster in 2 s", limit: 0}
	api := samples{name: "start of a stopped cluster to /readyz of its API server", limit: 1.5}
	nodes := samples{name: "start of a stopped cluster: its API server to both nodes Ready", limit: 5}
	for run := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", run+1, runs)
		controlPlane, err := raw.controlPlane(ctx)
		if err != nil {
			return nil, fmt.Errorf("starting a raw control plane: %w", err)
		}
		api.baseline = append(api.baseline, controlPlane.seconds)
		err = onInstall(ctx, scratch, []string{"-c", "2", "-s", "Standard_B2s"}, func(t teller) error {
			client, err := t.ready(ctx)
			if err != nil {
				return err
			}
			seconds, err := t.timed(ctx, "aks", "stop", "-g", "bench", "-n", "bench")
			if err != nil {
				return err
			}
			stop.values = append(stop.values, seconds)
			bytes, used, err := t.usage(ctx)
			if err != nil {
				return err
			}
			memory.values, cpu.values = append(memory.values, bytes/1e6), append(cpu.values, used)
			first, second, err := t.startAgain(ctx, client)
			api.values, nodes.values = append(api.values, first), append(nodes.values, second)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return []samples{stop, memory, cpu, api, nodes}, nil
}

// startAgain starts the stopped cluster and says how long its API server took,
// and its nodes after that. A node counts once its kubelet has reported it
// Ready since: what it said before the stop is still there.
func (t teller) startAgain(ctx context.Context, client *kubernetes.Clientset) (api, nodes float64, err error) {
	begun := time.Now()
	if _, err := t.berth(ctx, "aks", "start", "-g", "bench", "-n", "bench", "--no-wait"); err != nil {
		return 0, 0, err
	}
	if err := until(ctx, func() error { return client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() }); err != nil {
		return 0, 0, err
	}
	served := time.Now()
	err = until(ctx, func() error {
		list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if ready := readySince(list.Items, begun); ready < 2 {
			return fmt.Errorf("%d nodes have reported Ready since the start", ready)
		}
		return nil
	})
	return served.Sub(begun).Seconds(), time.Since(served).Seconds(), err
}

// readySince counts the nodes whose kubelet reported Ready since a moment; what
// it reports has whole seconds.
func readySince(nodes []corev1.Node, since time.Time) (ready int) {
	for _, node := range nodes {
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue &&
				!condition.LastHeartbeatTime.Time.Before(since.Truncate(time.Second)) {
				ready++
			}
		}
	}
	return ready
}

// usage is the memory that the control groups of the cluster, its control plane's
// and its machines', hold in bytes, and the CPU time in seconds that they use
// while one looks. Groups that are gone hold and use nothing; those of the
// service have to be there, or it was the wrong place to look.
func (t teller) usage(ctx context.Context) (bytes, seconds float64, err error) {
	if _, err := t.cpu("management"); err != nil {
		return 0, 0, err
	}
	instance, err := t.instance()
	if err != nil {
		return 0, 0, err
	}
	if bytes, err = sum(instance, map[string]float64{"memory.usage_in_bytes": 1, "memory.current": 1}); err != nil {
		return 0, 0, err
	}
	before, err := sum(instance, cpuFiles())
	if err != nil {
		return 0, 0, err
	}
	select {
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	case <-time.After(idle): // the length of the look is what is measured over
	}
	after, err := sum(instance, cpuFiles())
	return bytes, after - before, err
}

// cpuFiles are the files with CPU time by what makes seconds of it.
func cpuFiles() map[string]float64 {
	return map[string]float64{"cpuacct.usage": 1e9, "cpu.stat": 1e6}
}

// sum adds the first numbers of the files of an instance's clusters, of either
// version of control groups, each divided by its unit.
func sum(instance string, files map[string]float64) (total float64, err error) {
	for file, unit := range files {
		for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
			for _, group := range []string{"cp-*", "machine-*"} {
				paths, err := filepath.Glob(filepath.Join(root, "berth-"+instance, group, file))
				if err != nil {
					return 0, err
				}
				for _, path := range paths {
					value, err := number(path)
					if errors.Is(err, os.ErrNotExist) {
						continue // gone meanwhile
					}
					if err != nil {
						return 0, err
					}
					total += value / unit
				}
			}
		}
	}
	return total, nil
}

// number reads the first number of a control file. Version 1 has no CPU time in
// cpu.stat, which version 2 begins with.
func number(path string) (float64, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	text := string(content)
	if strings.HasSuffix(path, "cpu.stat") {
		rest, is := strings.CutPrefix(text, "usage_usec")
		if !is {
			return 0, nil
		}
		text = rest
	}
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return 0, fmt.Errorf("%s is empty", path)
	}
	return strconv.ParseFloat(fields[0], 64)
}
