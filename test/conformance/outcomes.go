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

// ended tells whether the suite itself says how the spec ended; a run that was
// cut off says nothing.
func (o outcome) ended() bool { return o.State == "passed" || o.State == "skipped" }

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

// left are the specs without an outcome, and with again those that failed.
func (o outcomes) left(specs []spec, again bool) []spec {
	var left []spec
	for _, one := range specs {
		if got, there, err := o.of(one); err != nil || !there || again && !got.ended() {
			left = append(left, one)
		}
	}
	return left
}

// store keeps an outcome; the file appears whole.
func (o outcomes) store(got outcome) error {
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
