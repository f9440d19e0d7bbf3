package supervise

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// idle is how long the loop sleeps when nothing is due; the look wakes it earlier.
const idle = time.Minute

// step brings every component one step nearer to what the spec wants. It
// returns true once all have stopped for good, and when it has to be called again.
func (s *supervisor) step(watching context.Context, now time.Time) (finished bool, wake time.Time) {
	wake = now.Add(idle)
	if s.ending || s.spec.Stop {
		finished = s.stopInOrder(now)
	} else {
		s.startInOrder(watching, now)
	}
	s.stopRemoved(now)
	if s.openShelters(now) {
		wake = now.Add(shelterEvery)
	}
	for _, c := range append(s.components[:len(s.components):len(s.components)], s.removed...) {
		due := wake
		switch {
		case c.running != nil && c.running.stopping:
			due = c.running.killAt
		case c.running == nil && c.startAt.After(now):
			due = c.startAt
		case !c.unlisted.IsZero():
			due = c.unlisted.Add(c.spec.Linger)
		}
		if due.Before(wake) {
			wake = due
		}
	}
	return finished, wake
}

// stopInOrder stops the last component, and the one before once that has
// ended, and so on. It returns true when all have.
func (s *supervisor) stopInOrder(now time.Time) bool {
	for _, c := range s.components {
		c.leaveGate()
	}
	if len(s.removed) > 0 {
		return false // stopRemoved is about to end them
	}
	for i := len(s.components) - 1; i >= 0; i-- {
		if c := s.components[i]; c.running != nil {
			c.stop(now)
			return false
		}
	}
	return true
}

func (s *supervisor) stopRemoved(now time.Time) {
	kept := s.removed[:0]
	for _, c := range s.removed {
		if c.running == nil {
			continue
		}
		if c.unlisted.IsZero() {
			c.unlisted = now
		}
		if s.ending || s.spec.Stop || now.Sub(c.unlisted) >= c.spec.Linger {
			c.stop(now)
		}
		kept = append(kept, c)
	}
	s.removed = kept
}

// startInOrder starts what may start. A component waits for the Once programs before it.
// Of several that changed, each is stopped only once the one before runs anew: a
// server is replaced before its clients, and these go on meanwhile. One that is
// held is replaced by a successor beside it, and those after it wait for that.
func (s *supervisor) startInOrder(watching context.Context, now time.Time) {
	replacing := false
	for _, c := range s.components {
		identity := s.identities.of(c.spec)
		changed := c.running != nil && c.running.identity != identity
		c.outdated = changed
		switch {
		case c.running != nil && c.running.stopping:
			c.stop(now)
			replacing = true
		case changed && (replacing || c.spec.Hold):
			replacing = true
		case changed && c.spec.StayUntilOpen && c.spec.Gate != nil && !c.open:
			if c.closeGate == nil {
				s.watchGate(watching, c)
			}
			replacing = true
		case changed:
			s.replace(c, now)
			replacing = true
		case c.running == nil && !(c.spec.Once && c.done == identity):
			c.done = ""
			s.tryStart(watching, c, identity, now)
			replacing = replacing || c.running == nil
		}
		if c.spec.Once && c.done == "" {
			return
		}
	}
}

// tryStart starts a component that is due and whose gate is open.
func (s *supervisor) tryStart(watching context.Context, c *component, identity string, now time.Time) {
	if c.startAt.After(now) {
		return
	}
	if c.spec.Gate != nil && !c.open {
		if c.closeGate == nil {
			s.watchGate(watching, c)
		}
		return
	}
	c.leaveGate()
	if err := c.start(s.dir, identity, now); err != nil {
		s.log.Error("starting", "component", c.spec.Name, "error", err)
		c.died(err.Error(), 0, now)
		return
	}
	s.log.Info("started", "component", c.spec.Name, "pid", c.running.pid)
}

// watchGate looks at a component's gate until it is open or left.
func (s *supervisor) watchGate(watching context.Context, c *component) {
	ctx, cancel := context.WithCancel(watching)
	c.closeGate, c.waiting = cancel, c.spec.Gate.String()
	probe := *c.spec.Gate
	send := func(e event) {
		select {
		case s.events <- e:
		case <-ctx.Done():
		}
	}
	s.watchers.Go(func() {
		err := probe.wait(ctx, s.tuning.gateEvery, func(waiting string) {
			send(event{component: c, gate: ctx, waiting: waiting})
		})
		if err == nil {
			send(event{component: c, gate: ctx, open: true})
		}
	})
}

// watchAdopted waits for the end of a process that is not a child.
func (s *supervisor) watchAdopted(watching context.Context, c *component) {
	process := c.running
	stop := context.AfterFunc(watching, process.adopted.close) // ends the wait
	s.watchers.Go(func() {
		defer stop()
		if process.adopted.wait() != nil {
			return
		}
		select {
		case s.events <- event{component: c, ended: process}:
		case <-watching.Done():
		}
	})
}

// reap waits for the children that ended. The first process of a pid namespace
// is also the parent of all orphans there; any other leaves the children of
// the rest of its program alone.
func (s *supervisor) reap(now time.Time) {
	children := map[int]*component{}
	for _, c := range append(s.components[:len(s.components):len(s.components)], s.removed...) {
		if c.running != nil && c.running.adopted == nil {
			children[c.running.pid] = c
		}
	}
	if os.Getpid() == 1 {
		for {
			pid, status, ok := waitFor(-1)
			if !ok {
				return
			}
			s.note(children[pid], pid, status, now)
		}
	}
	for pid, c := range children {
		if _, status, ok := waitFor(pid); ok {
			s.note(c, pid, status, now)
		}
	}
}

// waitFor collects a child that has ended; -1 stands for any.
func waitFor(pid int) (int, syscall.WaitStatus, bool) {
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		if err == unix.EINTR { //nolint:errorlint // a system call's own number
			continue
		}
		return got, status, err == nil && got > 0
	}
}

func (s *supervisor) note(c *component, pid int, status syscall.WaitStatus, now time.Time) {
	if c == nil {
		return // an orphan
	}
	exit, ok := describe(status)
	s.log.Info("ended", "component", c.spec.Name, "pid", pid, "exit", exit)
	c.ended(exit, ok, now)
}

// writeStatus writes what changed since the last time.
func (s *supervisor) writeStatus() error {
	status := Status{PID: os.Getpid(), StartTime: s.startTime, Revision: s.spec.Revision, Components: []ComponentStatus{}}
	for _, c := range append(s.components[:len(s.components):len(s.components)], s.removed...) {
		status.Components = append(status.Components, c.status())
	}
	data, err := json.Marshal(status)
	if err != nil {
		return err
	}
	if bytes.Equal(data, s.written) {
		return nil
	}
	if err := write(s.root, StatusFile, data, 0, false); err != nil {
		return err
	}
	s.written = data
	return nil
}
