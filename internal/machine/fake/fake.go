// Package fake is a machine.Provider without machines, for the tests of what
// calls one. It must not touch the host. It keeps the interface's contract
// (package machinetest runs against it) and can be told to fail.
package fake

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"

	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/supervise"
)

// State is the host of fake machines: what outlives a daemon. Its methods may
// be called by any number of goroutines.
type State struct {
	mutex    sync.Mutex
	machines map[string]*fakeMachine
	failures map[string]error
	starts   int
}

type fakeMachine struct {
	desired machine.Desired
	// start numbers the machine's present life; 0 while it does not run.
	start int
	// ending is true while a stop or a deletion was begun: the first call
	// begins it, the second finds it done.
	ending bool
}

// NewState returns a host without machines.
func NewState() *State {
	return &State{machines: map[string]*fakeMachine{}, failures: map[string]error{}}
}

// Fail makes Ensure return the error for a machine until it is called again with nil.
func (s *State) Fail(id string, err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.failures[id] = err
}

// Kill ends a machine's processes, as a crash would.
func (s *State) Kill(id string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if found := s.machines[id]; found != nil {
		found.start = 0
	}
}

// Desired is what a machine was last ensured with.
func (s *State) Desired(id string) (machine.Desired, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	found := s.machines[id]
	if found == nil {
		return machine.Desired{}, false
	}
	return found.desired, true
}

// Provider is a driver over a State.
type Provider struct {
	state *State
}

var _ machine.Provider = (*Provider)(nil)

// New returns a Provider over a state.
func New(state *State) *Provider { return &Provider{state: state} }

// Isolation claims user namespaces.
func (p *Provider) Isolation() machine.Isolation { return machine.IsolationUserNamespace }

// Ensure makes the machine run, at once.
func (p *Provider) Ensure(ctx context.Context, desired machine.Desired) (machine.Status, error) {
	if err := errors.Join(ctx.Err(), validate(desired)); err != nil {
		return machine.Status{}, err
	}
	p.state.mutex.Lock()
	defer p.state.mutex.Unlock()
	if err := p.state.failures[desired.ID]; err != nil {
		return machine.Status{Message: err.Error()}, err
	}
	found := p.state.machines[desired.ID]
	if found == nil {
		found = &fakeMachine{}
		p.state.machines[desired.ID] = found
	}
	if found.start == 0 {
		p.state.starts++
		found.desired, found.start, found.ending = desired, p.state.starts, false
	}
	if !desired.AtStart {
		found.desired.Files, found.desired.Components = desired.Files, desired.Components
	}
	status := machine.Status{Running: true, NetworkNamespace: fmt.Sprintf("/fake/%s/%d/net", desired.ID, found.start)}
	for i, component := range found.desired.Components {
		status.Components = append(status.Components, supervise.ComponentStatus{
			Name: component.Name, PID: i + 2, StartTime: uint64(found.start), Done: component.Once,
		})
	}
	return status, nil
}

// Delete removes the machine; the first call for one that runs only begins it.
func (p *Provider) Delete(ctx context.Context, id string) error {
	if err := p.end(ctx, id); err != nil {
		return err
	}
	p.state.mutex.Lock()
	defer p.state.mutex.Unlock()
	delete(p.state.machines, id)
	return nil
}

// Stop ends the machine's processes; the first call for one that runs only begins it.
func (p *Provider) Stop(ctx context.Context, id string) error { return p.end(ctx, id) }

func (p *Provider) end(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.state.mutex.Lock()
	defer p.state.mutex.Unlock()
	found := p.state.machines[id]
	switch {
	case found == nil || found.start == 0:
		return nil
	case !found.ending:
		found.ending = true
		return fmt.Errorf("ending machine %s: %w", id, machine.ErrInProgress)
	default:
		found.start, found.ending = 0, false
		return nil
	}
}

// List names the machines.
func (p *Provider) List(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.state.mutex.Lock()
	defer p.state.mutex.Unlock()
	ids := make([]string, 0, len(p.state.machines))
	for id := range p.state.machines {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

func validate(desired machine.Desired) error {
	switch {
	case !regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`).MatchString(desired.ID):
		return fmt.Errorf("%q is not the id of a machine", desired.ID)
	case desired.Size.CPUs < 1 || desired.Size.MemoryMiB < 1:
		return fmt.Errorf("machine %s has no size", desired.ID)
	case desired.DiskGiB < 1:
		return fmt.Errorf("machine %s has no disk", desired.ID)
	case desired.IDRangeStart < 1:
		return fmt.Errorf("machine %s has no id range", desired.ID)
	}
	return nil
}
