package agent

import (
	"context"
	"sync"
)

// jobs runs what takes longer than a Reconcile may, one at a time for a key.
// What was under way when the daemon died is simply begun again. It is a
// Runnable of the manager, which ends and awaits the jobs.
type jobs struct {
	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // the manager's, for the jobs' lives
	running sync.WaitGroup
	known   map[string]*job
}

// job is one piece of work; a number and an error are there once done.
type job struct {
	done   bool
	number int64
	err    error
	// note is what the work says of how far it is.
	note string
}

func newJobs() *jobs { return &jobs{known: map[string]*job{}} }

// Start keeps jobs running until the context ends.
func (j *jobs) Start(ctx context.Context) error {
	j.mu.Lock()
	j.ctx = ctx
	j.mu.Unlock()
	<-ctx.Done()
	j.running.Wait()
	return nil
}

// Do begins a job unless it runs, and says whether it has ended. The end is
// told once, with the number that the work came to: after that the same key
// begins a new job.
func (j *jobs) Do(key string, work func(ctx context.Context) (int64, error)) (done bool, number int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if known := j.known[key]; known != nil {
		if known.done {
			delete(j.known, key)
		}
		return known.done, known.number, known.err
	}
	if j.ctx == nil || j.ctx.Err() != nil {
		return false, 0, nil // not started yet, or ending
	}
	begun := &job{}
	j.known[key] = begun
	ctx := j.ctx
	j.running.Go(func() {
		number, err := work(ctx)
		j.mu.Lock()
		defer j.mu.Unlock()
		begun.done, begun.number, begun.err = true, number, err
	})
	return false, 0, nil
}

// Runs says whether the job of a key is under way.
func (j *jobs) Runs(key string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	known := j.known[key]
	return known != nil && !known.done
}

// Note lets a job say how far it is; Noted is what it said last.
func (j *jobs) Note(key, note string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if known := j.known[key]; known != nil {
		known.note = note
	}
}

func (j *jobs) Noted(key string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if known := j.known[key]; known != nil {
		return known.note
	}
	return ""
}
