//go:build e2e

// Package e2e tests a whole install through the surfaces that users touch: the
// CLI, ARM and kubectl. It starts an install in a home of its own, tells
// stories on real clusters, removes the install and looks for leftovers.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth.dev/berth/internal/cloud"
	"berth.dev/berth/test/leak"
)

// install is the service under test.
type install struct {
	program  string
	home     string
	instance string
	kubectl  string
	cloud    cloud.Cloud
}

// newInstall is another install, not started yet, that the end of the test purges.
func newInstall(t *testing.T, program, home string) *install {
	t.Helper()
	i := &install{program: program, home: home}
	t.Cleanup(func() {
		if said, err := i.berth("down", "--purge"); err != nil {
			t.Errorf("taking down %s: %v\n%s", home, err, said)
		}
	})
	return i
}

// service is started once for all tests by TestMain.
var service *install

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	before, err := leak.Take(leak.Instance{})
	if err != nil {
		return complain("looking at the host before the run", err)
	}
	service, err = start()
	if err != nil {
		return complain("starting the service", err)
	}
	status, err := service.status()
	if err != nil {
		return complain("asking for the status", err)
	}
	service.instance = status.Instance
	code := m.Run()
	if os.Getenv("BERTH_E2E_KEEP") != "" {
		fmt.Fprintln(os.Stderr, "kept:", service.home)
		return code
	}
	if output, err := service.berth("down", "--purge"); err != nil {
		return complain("berth down --purge: "+output, err)
	}
	if err := os.Remove(filepath.Dir(service.home)); err != nil { // empty now
		return complain("removing the home's directory", err)
	}
	if err := os.RemoveAll(filepath.Dir(service.home)); err != nil {
		return complain("removing the directory of the run", err)
	}
	after, err := leak.Take(leak.Instance{ID: status.Instance, Home: service.home})
	if err != nil {
		return complain("looking at the host after the run", err)
	}
	if lines := leak.Diff(before, after); len(lines) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: the run left its mark on the host:\n%s\n", strings.Join(lines, "\n"))
		return 1
	}
	return code
}

func complain(doing string, err error) int {
	fmt.Fprintf(os.Stderr, "FAIL: %s: %v\n", doing, err)
	return 1
}

// start brings up an install in a fresh home.
func start() (*install, error) {
	program, err := filepath.Abs("../../bin/berth")
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "berth-e2e-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(home, 0o711); err != nil { // control planes run under ids of their own and have to pass
		return nil, err
	}
	i := &install{program: program, home: filepath.Join(home, "home")}
	if output, err := i.berth("up", "--detach"); err != nil {
		return nil, fmt.Errorf("berth up: %w\n%s", err, output)
	}
	output, err := i.berth("cloud", "show", "-o", "json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(output), &i.cloud); err != nil {
		return nil, err
	}
	i.kubectl, err = i.berth("release", "path", "kubectl")
	i.kubectl = strings.TrimSpace(i.kubectl)
	return i, err
}

// serviceStatus is the part of "berth status -o json" that tests read.
type serviceStatus struct {
	Instance string `json:"instance"`
	PID      int    `json:"pid"`
	Host     struct {
		PublicRange string `json:"publicRange"`
	} `json:"host"`
}

func (i *install) status() (serviceStatus, error) {
	var status serviceStatus
	output, err := i.berth("status", "-o", "json")
	if err != nil {
		return status, err
	}
	return status, json.Unmarshal([]byte(output), &status)
}

// command is a berth command in the install's environment.
func (i *install) command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, i.program, arguments...)
	// An upgrade soaks for no longer than it takes to see it soak.
	command.Env = append(os.Environ(), "BERTH_HOME="+i.home, "BERTH_UPGRADE_SOAK=5s")
	return command
}

// berth runs a command to its end and returns what it printed on standard
// output; the error carries standard error.
func (i *install) berth(arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute) // a first run builds a release
	defer cancel()
	return output(i.command(ctx, arguments...))
}

func output(command *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, stderr.String())
	}
	return stdout.String(), err
}

// must runs a berth command that has to succeed.
func must(t *testing.T, arguments ...string) string {
	t.Helper()
	printed, err := service.berth(arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return printed
}

// refused runs a berth command that has to fail and returns what it said.
func refused(t *testing.T, arguments ...string) string {
	t.Helper()
	printed, err := service.berth(arguments...)
	if err == nil {
		t.Fatalf("berth %s succeeded: %s", strings.Join(arguments, " "), printed)
	}
	return err.Error()
}
