// Package fake is a controlplane.Runtime without processes, for the tests of
// those who call one. It keeps the contract, as the suite checks.
package fake

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/supervise"
)

// Runtime holds control planes in memory. The zero value is ready for use;
// set its fields before.
type Runtime struct {
	// Steps is how many calls of Ensure a control plane needs to become ready,
	// and of Delete and Stop to end; 0 means 1 and none.
	Steps int
	// Fail, if set, is asked before each call with the method's name and the id.
	Fail func(method, id string) error

	mu      sync.Mutex
	planes  map[string]*plane
	lastPID int
}

var _ controlplane.Runtime = (*Runtime)(nil)

type plane struct {
	desired controlplane.Desired
	running bool
	// steps are the calls since the last change of direction.
	steps      int
	components []supervise.ComponentStatus
}

// Ensure implements controlplane.Runtime.
func (r *Runtime) Ensure(_ context.Context, desired controlplane.Desired) (controlplane.Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fail("Ensure", desired.ID); err != nil {
		return controlplane.Status{}, err
	}
	if err := desired.Validate(); err != nil {
		return controlplane.Status{}, err
	}
	p := r.planes[desired.ID]
	if p == nil {
		if r.planes == nil {
			r.planes = map[string]*plane{}
		}
		p = &plane{}
		r.planes[desired.ID] = p
	}
	if !p.running {
		p.running, p.steps, p.components = true, 0, r.start()
	}
	if p.desired.Version != desired.Version || p.desired.EmulatedVersion != desired.EmulatedVersion {
		r.restart(p)
	}
	p.desired = desired
	p.steps++
	if desired.DatastoreOnly {
		return controlplane.Status{DatastoreOnly: p.steps >= r.Steps, Message: "the API server is stopping"}, nil
	}
	status := controlplane.Status{Ready: p.steps >= r.Steps, Components: slices.Clone(p.components)}
	if status.Ready {
		status.Version, status.EmulatedVersion = desired.Version, desired.EmulatedVersion
		status.Server = server(p.components)
	} else {
		status.Message = "the API server is starting"
	}
	return status, nil
}

// start gives each component a process number.
func (r *Runtime) start() []supervise.ComponentStatus {
	var components []supervise.ComponentStatus
	for _, name := range []string{
		controlplane.Etcd, controlplane.Konnectivity, controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler,
	} {
		r.lastPID++
		components = append(components, supervise.ComponentStatus{Name: name, PID: r.lastPID})
	}
	return components
}

// server names the API server by its process number.
func server(components []supervise.ComponentStatus) string {
	for _, c := range components {
		if c.Name == controlplane.APIServer {
			return fmt.Sprintf("%s/%d", c.Name, c.PID)
		}
	}
	return ""
}

// restart replaces what comes from Kubernetes itself, as another version does.
func (r *Runtime) restart(p *plane) {
	if p.desired.ID == "" {
		return // it has only just been started
	}
	p.steps = 0
	for i := range p.components {
		if c := &p.components[i]; c.Name != controlplane.Konnectivity && c.Name != controlplane.Etcd {
			r.lastPID++
			c.PID = r.lastPID
		}
	}
}

// Kill lets the component with a process number die and start again at once.
func (r *Runtime) Kill(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.planes {
		for i := range p.components {
			if c := &p.components[i]; c.PID == pid {
				r.lastPID++
				c.PID, c.Restarts, c.LastExit = r.lastPID, c.Restarts+1, "signal: killed"
			}
		}
	}
}

// Desired is what a control plane was last ensured with.
func (r *Runtime) Desired(id string) (controlplane.Desired, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.planes[id]; p != nil {
		return p.desired, true
	}
	return controlplane.Desired{}, false
}

// Stop implements controlplane.Runtime.
func (r *Runtime) Stop(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fail("Stop", id); err != nil {
		return err
	}
	return r.stop(id)
}

func (r *Runtime) stop(id string) error {
	p := r.planes[id]
	if p == nil {
		return nil
	}
	if p.running {
		p.running, p.steps = false, 0
	}
	p.steps++
	if p.steps <= r.Steps {
		return controlplane.ErrInProgress
	}
	p.components = nil
	return nil
}

// Delete implements controlplane.Runtime.
func (r *Runtime) Delete(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fail("Delete", id); err != nil {
		return err
	}
	if err := r.stop(id); err != nil {
		return err
	}
	delete(r.planes, id)
	return nil
}

// List implements controlplane.Runtime.
func (r *Runtime) List(context.Context) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fail("List", ""); err != nil {
		return nil, err
	}
	var ids []string
	for id := range r.planes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

func (r *Runtime) fail(method, id string) error {
	if r.Fail == nil {
		return nil
	}
	return r.Fail(method, id)
}
