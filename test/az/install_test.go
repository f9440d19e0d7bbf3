//go:build e2e

// Package az runs the az of the distribution, unmodified, against a whole
// install with real clusters behind it.
package az

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth.dev/berth/test/leak"
)

// install is the service under test, and what az needs to reach it.
type install struct {
	program, home, config, bundle, kubectl string
	// python is what repairs the az of Debian 12; see examples/own-network.
	python string
}

// service is started once for all tests by TestMain.
var service *install

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	if _, err := exec.LookPath("az"); err != nil {
		return complain("az is not installed; apt-get install azure-cli installs it", err)
	}
	before, err := leak.Take(leak.Instance{})
	if err != nil {
		return complain("looking at the host before the run", err)
	}
	dir, err := os.MkdirTemp("", "berth-az-")
	if err != nil {
		return complain("making a directory", err)
	}
	defer os.RemoveAll(dir)
	if err := start(dir); err != nil {
		return complain("starting the service", err)
	}
	var status struct {
		Instance string `json:"instance"`
	}
	printed, err := service.run("berth", "status", "-o", "json")
	if err == nil {
		err = json.Unmarshal([]byte(printed), &status)
	}
	if err != nil {
		return complain("asking for the status", err)
	}
	// az waits more than it computes.
	if err := flag.Set("test.parallel", "4"); err != nil {
		return complain("running steps side by side", err)
	}
	code := m.Run()
	if _, err := service.run("berth", "down", "--purge"); err != nil {
		return complain("removing the install", err)
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

// start brings up an install and sets up az for it, twice: the second time
// finds what the first one made.
func start(dir string) error {
	program, err := filepath.Abs("../../bin/berth")
	if err != nil {
		return err
	}
	python, err := filepath.Abs("../../examples/own-network/debian")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o711); err != nil { // control planes run under ids of their own and have to pass
		return err
	}
	service = &install{program: program, home: filepath.Join(dir, "home"), config: filepath.Join(dir, "az"), python: python}
	if _, err := service.run("berth", "up", "--detach"); err != nil {
		return err
	}
	for range 2 {
		printed, err := service.run("berth", "cloud", "setup-az")
		if err != nil {
			return err
		}
		service.bundle = strings.TrimSpace(strings.TrimPrefix(printed, "export REQUESTS_CA_BUNDLE="))
	}
	service.kubectl, err = service.run("berth", "release", "path", "kubectl")
	service.kubectl = strings.TrimSpace(service.kubectl)
	return err
}

// run runs berth or az to its end, with a configuration of its own and no
// telemetry, and returns what it printed; the error carries standard error.
func (i *install) run(program string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // a first run builds a release
	defer cancel()
	if program == "berth" {
		program = i.program
	}
	command := exec.CommandContext(ctx, program, arguments...)
	command.Env = append(os.Environ(), "PYTHONPATH="+i.python, "BERTH_HOME="+i.home, "AZURE_CONFIG_DIR="+i.config, "AZURE_CORE_COLLECT_TELEMETRY=no", "REQUESTS_CA_BUNDLE="+i.bundle)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", program, strings.Join(arguments, " "), err, stderr.String())
	}
	return stdout.String(), err
}

// az runs a command line of az that has to succeed.
func az(t *testing.T, line string) string {
	t.Helper()
	began := time.Now()
	printed, err := service.run("az", strings.Fields(line)...)
	t.Logf("%.1f s: az %s", time.Since(began).Seconds(), line)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(printed)
}

// refused runs a command line of az that has to fail, and say why.
func refused(t *testing.T, why, line string) {
	t.Helper()
	began := time.Now()
	printed, err := service.run("az", strings.Fields(line)...)
	t.Logf("%.1f s: az %s", time.Since(began).Seconds(), line)
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("az %s: %v, want %s\n%s", line, err, why, printed)
	}
}

// expect holds what a command prints, without white space around words.
func expect(t *testing.T, want, line string) {
	t.Helper()
	if got := strings.Join(strings.Fields(az(t, line)), " "); got != want {
		t.Errorf("az %s printed %q, want %q", line, got, want)
	}
}
