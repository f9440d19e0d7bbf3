package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"berth.dev/berth/internal/release"
)

// errInterrupted ends a run whose context ended.
var errInterrupted = errors.New("interrupted: the same command goes on with the specs that are left")

// specTimeout bounds a process, and so one spec that runs alone; upstream's slowest takes a third of it.
const specTimeout = 30 * time.Minute

// runner runs specs in processes that each run a few of them: starting upstream's
// tests takes seconds of a core, as much as many specs do. What a process that
// hung, crashed or was ended leaves without an outcome runs in one of its own.
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
	tell := func(got outcome) {
		fmt.Fprintf(os.Stderr, "[%d/%d] %-8s %5.0f s  %s\n", done.Add(1), all, got.State, got.Seconds, got.Name)
	}
	left, err := r.batches(ctx, spread(specs, batchSize(len(specs), workers)), workers, tell)
	if err != nil || len(left) == 0 {
		return err
	}
	_, err = r.batches(ctx, spread(left, 1), workers, tell)
	return err
}

// batches runs them and returns the specs that have no outcome yet: those of a
// batch of one always have.
func (r runner) batches(ctx context.Context, batches [][]spec, workers int, tell func(outcome)) ([]spec, error) {
	queue := make(chan []spec, len(batches))
	for _, batch := range batches {
		queue <- batch
	}
	close(queue)
	var group sync.WaitGroup
	failures := make([]error, workers)
	left := make([][]spec, workers)
	for worker := range workers {
		group.Go(func() {
			for batch := range queue {
				without, err := r.batch(ctx, batch, tell)
				if err != nil {
					failures[worker] = err
					return
				}
				left[worker] = append(left[worker], without...)
			}
		})
	}
	group.Wait()
	return slices.Concat(left...), errors.Join(failures...)
}

// batch runs specs in one process and keeps their outcomes; an error says that
// the run cannot go on. What ended before an interruption is kept, too.
func (r runner) batch(ctx context.Context, specs []spec, tell func(outcome)) (left []spec, err error) {
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	path := r.results.path(specs[0])
	log, err := os.Create(path + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	temporary, err := os.MkdirTemp("", "conformance-specs-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temporary) // the tests leave directories there
	report := path + ".report.json"
	if err := os.RemoveAll(report); err != nil {
		return nil, err
	}
	defer os.Remove(report)
	started := time.Now()
	failure := r.command(ctx, specs, report, temporary, log).Run()
	reports, unread := readReports(report)
	interrupted := ctx.Err() != nil
	for _, one := range specs {
		got, ended := outcomeIn(reports, one)
		if !ended && len(specs) == 1 && !interrupted {
			got, ended = alone(reports, one, failure, time.Since(started)), true
		}
		if !ended {
			left = append(left, one)
			continue
		}
		if len(specs) > 1 {
			err = r.results.storeLog(one, reports)
		}
		if err := errors.Join(err, r.results.store(got)); err != nil {
			return nil, err
		}
		tell(got)
	}
	if interrupted {
		return nil, errInterrupted
	}
	if len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d of %d specs that ran in one process have no outcome (%v) and run again, each alone\n",
			len(left), len(specs), errors.Join(failure, unread))
	}
	return left, nil
}

// command is the process that runs specs; temporary is a directory for what they write.
func (r runner) command(ctx context.Context, specs []spec, report, temporary string, log io.Writer) *exec.Cmd {
	command := exec.CommandContext(ctx, r.suite.Tests,
		"--kubeconfig="+r.cluster.kubeconfig, "--kubectl-path="+r.cluster.kubectl, "--provider=skeleton", "--disable-log-dump",
		"--ginkgo.focus="+focusOn(specs), "--ginkgo.no-color", "--ginkgo.v",
		"--ginkgo.timeout="+specTimeout.String(), "--ginkgo.json-report="+report)
	command.Dir, command.Stdout, command.Stderr = r.results.dir, log, log
	command.Env = append(os.Environ(), "KUBECONFIG="+r.cluster.kubeconfig, "TMPDIR="+temporary)
	// A spec that is told to end removes what it made, and the report says which ended before.
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = time.Minute
	return command
}
