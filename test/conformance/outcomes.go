package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2/types"
)

// outcome is how one spec ended.
type outcome struct {
	spec
	// State is ginkgo's word for it: passed, failed, skipped, timedout, panicked or interrupted.
	State string `json:"state"`
	// Reason says why it failed or was skipped.
	Reason string `json:"reason,omitempty"`
	// Seconds is how long it ran.
	Seconds float64 `json:"seconds"`
	// Log is the file of its output, beside the outcome.
	Log string `json:"log"`
}

// outcomes are the specs' outcomes of one build: a file for each, written when it ended.
type outcomes struct{ dir string }

func openOutcomes(dir string) (outcomes, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return outcomes{}, fmt.Errorf("making the directory of outcomes: %w", err)
	}
	return outcomes{dir: dir}, nil
}

// path is the file of a spec without its ending.
func (o outcomes) path(one spec) string {
	sum := sha256.Sum256([]byte(one.Name))
	return filepath.Join(o.dir, hex.EncodeToString(sum[:8]))
}

// of returns a spec's outcome, if it has one.
func (o outcomes) of(one spec) (outcome, bool, error) {
	content, err := os.ReadFile(o.path(one) + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return outcome{}, false, nil
	}
	if err != nil {
		return outcome{}, false, err
	}
	var read outcome
	if err := json.Unmarshal(content, &read); err != nil {
		return outcome{}, false, fmt.Errorf("reading the outcome of %s: %w", one.Name, err)
	}
	return read, true, nil
}

// left are the specs without an outcome, and with again those that did not pass.
func (o outcomes) left(specs []spec, again bool) []spec {
	var left []spec
	for _, one := range specs {
		if got, there, err := o.of(one); err != nil || !there || again && got.State != "passed" {
			left = append(left, one)
		}
	}
	return left
}

// store keeps an outcome; the file appears whole.
func (o outcomes) store(got outcome) error {
	got.Log = filepath.Base(o.path(got.spec) + ".log")
	content, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		return err
	}
	path := o.path(got.spec) + ".json"
	if err := os.WriteFile(path+".new", append(content, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// storeLog writes what ginkgo recorded of one of several specs of a process;
// that of a process with one spec is the whole output.
func (o outcomes) storeLog(one spec, reports types.SpecReports) error {
	var log strings.Builder
	for _, report := range reports {
		if !isOf(report, one) {
			continue
		}
		fmt.Fprintf(&log, "%s\n%s\n%s%s", report.FullText(), report.StartTime, report.CapturedGinkgoWriterOutput, report.CapturedStdOutErr)
		for _, failure := range append([]types.Failure{report.Failure}, additional(report)...) {
			if failure.Message != "" {
				fmt.Fprintf(&log, "\n%s\n%s\n%s\n", failure.Message, failure.Location, failure.Location.FullStackTrace)
			}
		}
		fmt.Fprintf(&log, "%s after %s\n", report.State, report.RunTime)
	}
	return os.WriteFile(o.path(one)+".log", []byte(log.String()), 0o644)
}

// additional are the failures after the first, such as those of its clean-up.
func additional(report types.SpecReport) []types.Failure {
	var failures []types.Failure
	for _, more := range report.AdditionalFailures {
		failures = append(failures, more.Failure)
	}
	return failures
}
