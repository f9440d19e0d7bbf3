package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2/types"
)

// spec is one test of the suite.
type spec struct {
	// Name is its full text, by which upstream knows it.
	Name string `json:"name"`
	// Serial is true for one that must run alone.
	Serial bool `json:"serial"`
}

// listSpecs asks the tests for the specs of a suite, those that must run alone
// at the end.
func listSpecs(ctx context.Context, tests, suite, focus string) ([]spec, error) {
	wanted, err := regexp.Compile(focus)
	if err != nil {
		return nil, fmt.Errorf("reading -focus: %w", err)
	}
	dir, err := os.MkdirTemp("", "berth-conformance-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "specs.json")
	// Without a focus upstream leaves out every spec that has a feature in its name, such as those of load balancers.
	command := exec.CommandContext(ctx, tests, "--ginkgo.dry-run", "--ginkgo.no-color", "--ginkgo.focus=.",
		"--ginkgo.json-report="+path, "--kubeconfig="+filepath.Join(dir, "none"))
	command.Env = append(os.Environ(), "TMPDIR="+dir) // the tests leave directories there
	if output, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("listing the specs: %w: %s", err, tail(output))
	}
	reports, err := readReports(path)
	if err != nil {
		return nil, err
	}
	var specs []spec
	for _, one := range reports {
		belongs, _ := choose(suite, one)
		if belongs && one.LeafNodeType == types.NodeTypeIt && one.State == types.SpecStatePassed && wanted.MatchString(one.FullText()) {
			specs = append(specs, spec{Name: one.FullText(), Serial: slices.Contains(one.Labels(), "Serial")})
		}
	}
	if len(specs) == 0 {
		return nil, fmt.Errorf("no spec of the suite %s matches %q", suite, focus)
	}
	slices.SortStableFunc(specs, func(a, b spec) int {
		if a.Serial != b.Serial {
			if a.Serial {
				return 1
			}
			return -1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return specs, nil
}

// readReports reads what ginkgo wrote about one run.
func readReports(path string) (types.SpecReports, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading ginkgo's report: %w", err)
	}
	var suites []types.Report
	if err := json.Unmarshal(content, &suites); err != nil {
		return nil, fmt.Errorf("reading ginkgo's report: %w", err)
	}
	var reports types.SpecReports
	for _, suite := range suites {
		reports = append(reports, suite.SpecReports...)
	}
	return reports, nil
}

// tail is the end of a program's output, for an error.
func tail(output []byte) string {
	const most = 2000
	return strings.TrimSpace(string(output[max(0, len(output)-most):]))
}
