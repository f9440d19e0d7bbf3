package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"berth.dev/berth/internal/release"
)

// specTimeout bounds one spec; upstream's slowest takes a third of it.
const specTimeout = 30 * time.Minute

// runner runs specs, each in a process of its own: so that one that hangs or
// crashes harms no other, and what ended is known although the run is killed.
type runner struct {
	suite   release.Suite
	cluster *cluster
	results outcomes
	workers int
}

// runSpecs runs those that may run together first, then each Serial one alone.
func runSpecs(ctx context.Context, with runner, specs []spec) error {
	var together, alone []spec
	for _, one := range specs {
		if one.Serial {
			alone = append(alone, one)
		} else {
			together = append(together, one)
		}
	}
	done := &atomic.Int32{}
	if err := with.each(ctx, together, with.workers, done, len(specs)); err != nil {
		return err
	}
	return with.each(ctx, alone, 1, done, len(specs))
}

// each runs the specs with so many workers and prints how each ended.
func (r runner) each(ctx context.Context, specs []spec, workers int, done *atomic.Int32, all int) error {
	queue := make(chan spec, len(specs))
	for _, one := range specs {
		queue <- one
	}
	close(queue)
	var group sync.WaitGroup
	failures := make([]error, workers)
	for worker := range workers {
		group.Go(func() {
			for one := range queue {
				got, err := r.one(ctx, one)
				if err != nil {
					failures[worker] = err
					return
				}
				fmt.Fprintf(os.Stderr, "[%d/%d] %-8s %5.0f s  %s\n", done.Add(1), all, got.State, got.Seconds, one.Name)
			}
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

// one runs a spec to its end and keeps its outcome; an error says that it has none.
func (r runner) one(ctx context.Context, one spec) (outcome, error) {
	if ctx.Err() != nil {
		return outcome{}, errors.New("interrupted: the same command goes on with the specs that are left")
	}
	path := r.results.path(one)
	log, err := os.Create(path + ".log")
	if err != nil {
		return outcome{}, err
	}
	defer log.Close()
	report := path + ".report.json"
	if err := os.RemoveAll(report); err != nil {
		return outcome{}, err
	}
	defer os.Remove(report)
	command := exec.CommandContext(ctx, r.suite.Tests,
		"--kubeconfig="+r.cluster.kubeconfig, "--kubectl-path="+r.cluster.kubectl, "--provider=skeleton", "--disable-log-dump",
		"--ginkgo.focus="+regexp.QuoteMeta(one.Name)+"$", "--ginkgo.no-color", "--ginkgo.v",
		"--ginkgo.timeout="+specTimeout.String(), "--ginkgo.json-report="+report)
	command.Dir, command.Stdout, command.Stderr = r.results.dir, log, log
	command.Env = append(os.Environ(), "KUBECONFIG="+r.cluster.kubeconfig)
	// A spec that is told to end removes what it made.
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = time.Minute
	started := time.Now()
	failure := command.Run()
	if ctx.Err() != nil {
		return outcome{}, errors.New("interrupted: the same command goes on with the specs that are left")
	}
	got := outcome{spec: one, State: "crashed", Seconds: time.Since(started).Seconds(), Log: filepath.Base(log.Name())}
	if failure != nil {
		got.Reason = failure.Error()
	}
	if reports, err := readReports(report); err == nil {
		got.read(reports)
	}
	return got, r.results.store(got)
}

// read takes over what ginkgo says of the spec, or of what must be right before any.
func (o *outcome) read(reports types.SpecReports) {
	for _, report := range reports {
		isSpec := report.LeafNodeType == types.NodeTypeIt && report.FullText() == o.Name
		if !isSpec && !report.Failed() {
			continue
		}
		o.State, o.Reason = report.State.String(), report.Failure.Message
		if isSpec {
			o.Seconds = report.RunTime.Seconds()
		}
	}
}
