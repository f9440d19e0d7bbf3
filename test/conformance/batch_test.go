package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"berth.dev/berth/internal/release"
)

// crashing is a program that runs specs as upstream's tests do: of several it
// passes the first and is cut short in the next; one alone passes. It appends
// the focus that it was given to the file "calls" beside its report. With a
// file "wait" there, the next is cut short when the program is told to end.
const crashing = `#!/bin/sh
for argument; do
  case "$argument" in
    --ginkgo.focus=*) focus="${argument#*=}" ;;
    --ginkgo.json-report=*) report="${argument#*=}" ;;
  esac
done
if [ -e "$(dirname "$report")/wait" ]; then
  sleep 60 &
  trap 'kill $!' TERM
  echo "$focus" >>"$(dirname "$report")/calls"
  wait
else
  echo "$focus" >>"$(dirname "$report")/calls"
fi
specs=
for number in 0 1 2 3 4 5 6 7; do
  case "$focus" in
    *"(spec $number|"* | "(spec $number)"*) state=passed ;;
    *"|spec $number)"*) state=interrupted ;;
    *) state=skipped ;;
  esac
  specs="$specs,{\"LeafNodeType\": \"It\", \"LeafNodeText\": \"spec $number\", \"State\": \"$state\", \"CapturedGinkgoWriterOutput\": \"said by $number\\n\"}"
done
printf '[{"SpecReports": [%s]}]' "${specs#,}" >"$report"
case "$focus" in *"|"*) exit 1 ;; esac
`

// eightSpecs are those of the program, and a runner of it with so few workers that they share processes.
func eightSpecs(t *testing.T) (runner, []spec) {
	t.Helper()
	results, err := openOutcomes(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	tests := filepath.Join(t.TempDir(), "e2e.test")
	if err := os.WriteFile(tests, []byte(crashing), 0o755); err != nil {
		t.Fatal(err)
	}
	var specs []spec
	for number := range 8 {
		specs = append(specs, spec{Name: fmt.Sprintf("spec %d", number)})
	}
	return runner{suite: release.Suite{Tests: tests}, cluster: &cluster{}, results: results, workers: 1}, specs
}

func TestWhatAProcessLeavesWithoutAnOutcomeRunsAlone(t *testing.T) {
	with, specs := eightSpecs(t)
	if err := runSpecs(t.Context(), with, specs); err != nil {
		t.Fatal(err)
	}
	for _, one := range specs {
		if got, there, err := with.results.of(one); err != nil || !there || got.State != "passed" {
			t.Errorf("%s: %+v, %v, %v", one.Name, got, there, err)
		}
	}
	calls, err := os.ReadFile(filepath.Join(with.results.dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	if together, all := strings.Count(string(calls), "|"), strings.Count(string(calls), "\n"); together != 4 || all != 8 {
		t.Errorf("want four processes of two specs and then one for each that was cut short, got\n%s", calls)
	}
	log, err := os.ReadFile(with.results.path(specs[0]) + ".log")
	if err != nil || !strings.Contains(string(log), "said by 0") || strings.Contains(string(log), "said by 1") {
		t.Errorf("the log of a spec that shared a process is %q, %v", log, err)
	}
}

func TestWhatEndedBeforeAnInterruptionIsKept(t *testing.T) {
	with, specs := eightSpecs(t)
	if err := os.WriteFile(filepath.Join(with.results.dir, "wait"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		defer interrupt()
		for t.Context().Err() == nil {
			if _, err := os.Stat(filepath.Join(with.results.dir, "calls")); err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	left, err := with.batch(ctx, specs[:2], func(outcome) {})
	if !errors.Is(err, errInterrupted) || left != nil {
		t.Errorf("an interrupted batch returns %v, %v", left, err)
	}
	if _, there, err := with.results.of(specs[0]); err != nil || !there {
		t.Errorf("the spec that had ended is kept: %v, %v", there, err)
	}
	if _, there, err := with.results.of(specs[1]); err != nil || there {
		t.Errorf("the spec that was cut short has an outcome: %v, %v", there, err)
	}
}

func TestEverySpecIsInOneBatchAndNoneIsLong(t *testing.T) {
	for _, count := range []int{1, 2, 6, 8, 29, 412} {
		specs := make([]spec, count)
		for index := range specs {
			specs[index].Name = fmt.Sprint(index)
		}
		seen := map[spec]int{}
		for _, batch := range spread(specs, batchSize(count, 3)) {
			if len(batch) == 0 || len(batch) > mostInBatch {
				t.Errorf("of %d specs a batch has %d", count, len(batch))
			}
			for _, one := range batch {
				seen[one]++
			}
		}
		if len(seen) != count {
			t.Errorf("%d of %d specs are in a batch", len(seen), count)
		}
	}
	if size := batchSize(6, 4); size != 1 {
		t.Errorf("six specs and four workers: %d in a process, want each in its own", size)
	}
}

func TestTheFocusMatchesTheNamesAndNoOther(t *testing.T) {
	focus := regexp.MustCompile(focusOn([]spec{{Name: "[sig-node] Pods (a.b) run"}, {Name: "[sig-apps] Job ends"}}))
	for text, want := range map[string]bool{
		"Kubernetes e2e suite [sig-node] Pods (a.b) run":     true,
		"Kubernetes e2e suite [sig-apps] Job ends":           true,
		"Kubernetes e2e suite [sig-apps] Job ends later":     false,
		"Kubernetes e2e suite [sig-node] Pods (aXb) run":     false,
		"Kubernetes e2e suite [sig-node] Pods (a.b) run not": false,
	} {
		if focus.MatchString(text) != want {
			t.Errorf("%q matches: %v", text, !want)
		}
	}
}

func TestASpecWithoutAnOutcomeOfItsOwnHasNone(t *testing.T) {
	one := spec{Name: "waits"}
	for state, want := range map[types.SpecState]bool{
		types.SpecStatePassed: true, types.SpecStateFailed: true, types.SpecStatePanicked: true,
		types.SpecStateTimedout: false, types.SpecStateInterrupted: false, types.SpecStateSkipped: false,
	} {
		reports := types.SpecReports{{LeafNodeType: types.NodeTypeIt, LeafNodeText: "waits", State: state}}
		if _, ended := outcomeIn(reports, one); ended != want {
			t.Errorf("%s has an outcome: %v", state, ended)
		}
	}
	skipped := types.SpecReport{LeafNodeType: types.NodeTypeIt, LeafNodeText: "waits", State: types.SpecStateSkipped, Failure: types.Failure{Message: "no GPU"}}
	if got, ended := outcomeIn(types.SpecReports{skipped}, one); !ended || got.State != "skipped" || got.Reason != "no GPU" {
		t.Errorf("one that skipped itself: %+v, %v", got, ended)
	}
	timedout := types.SpecReports{{LeafNodeType: types.NodeTypeIt, LeafNodeText: "waits", State: types.SpecStateTimedout}}
	if got := alone(timedout, one, nil, 0); got.State != "timedout" {
		t.Errorf("alone it ended %+v", got)
	}
}
