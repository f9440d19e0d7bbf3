package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"
)

func TestAnInterruptedRunGoesOnWithTheSpecsThatHaveNoOutcome(t *testing.T) {
	results, err := openOutcomes(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	passed, failed, never := spec{Name: "passed"}, spec{Name: "failed"}, spec{Name: "never run", Serial: true}
	for one, state := range map[spec]string{passed: "passed", failed: "failed"} {
		if err := results.store(outcome{spec: one, State: state}); err != nil {
			t.Fatal(err)
		}
	}
	all := []spec{passed, failed, never}
	if left := results.left(all, false); len(left) != 1 || left[0] != never {
		t.Errorf("left are %v", left)
	}
	if left := results.left(all, true); len(left) != 2 || left[0] != failed {
		t.Errorf("left again are %v", left)
	}
	// An outcome that a crash cut off counts as none.
	if err := os.WriteFile(results.path(passed)+".json", []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if left := results.left(all, false); len(left) != 2 {
		t.Errorf("with a broken outcome left are %v", left)
	}
}

func TestAFailureBeforeTheSpecIsItsOutcomeToo(t *testing.T) {
	one := spec{Name: "Pods should run"}
	reports := types.SpecReports{
		{LeafNodeType: types.NodeTypeBeforeSuite, State: types.SpecStateFailed, Failure: types.Failure{Message: "no node is ready"}},
		{LeafNodeType: types.NodeTypeIt, ContainerHierarchyTexts: []string{"Pods"}, LeafNodeText: "should run", State: types.SpecStateSkipped},
		{LeafNodeType: types.NodeTypeIt, LeafNodeText: "Pods should not run", State: types.SpecStateSkipped},
	}
	if got, ended := outcomeIn(reports, one); ended {
		t.Errorf("a spec that was never begun has the outcome %+v", got)
	}
	if got := alone(reports, one, errors.New("exit status 1"), time.Second); got.State != "failed" || got.Reason != "no node is ready" {
		t.Errorf("got %+v", got)
	}
	if got := alone(nil, one, errors.New("exit status 2"), time.Second); got.State != "crashed" || got.Reason != "exit status 2" {
		t.Errorf("without a report: %+v", got)
	}
}

func TestTheReportNamesWhatFailedAndWhatDidNotRun(t *testing.T) {
	results, err := openOutcomes(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	specs := []spec{{Name: "one <passed>"}, {Name: "two failed"}, {Name: "three never ran"}}
	for index, state := range []string{"passed", "failed"} {
		if err := results.store(outcome{spec: specs[index], State: state, Reason: "because"}); err != nil {
			t.Fatal(err)
		}
	}
	err = report(results, specs, "1.2.3")
	if err == nil || !strings.Contains(err.Error(), "1 specs failed and 1 did not run") {
		t.Errorf("the report says %v", err)
	}
	written, err := os.ReadFile(filepath.Join(results.dir, "junit.xml"))
	if err != nil || !strings.Contains(string(written), `tests="2" failures="1"`) || !strings.Contains(string(written), "one &lt;passed&gt;") {
		t.Errorf("junit.xml is %s, %v", written, err)
	}
	if err := report(results, specs[:1], "1.2.3"); err != nil {
		t.Errorf("with all passed the report says %v", err)
	}
}
