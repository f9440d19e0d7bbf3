// Package process runs control planes as processes of this host, each under a
// supervisor, a uid and a cgroup of its own. It keeps no state but what lies
// in the control planes' directories and cgroups: any process may take over.
//
// A control plane's directory belongs to the user that its processes run
// under, who may be hostile: the driver follows no link out of it.
//
//	<home>/control-planes/<id>/           mode 0700, the supervisor's directory
//	<home>/control-planes/<id>/pki/       keys and certificates, 0600
//	<home>/control-planes/<id>/config/    configuration and kubeconfigs, 0600
//	<home>/control-planes/<id>/etcd/      the data
//	<home>/control-planes/<id>/log/       logs, the audit log among them
package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/supervise"
)

// maxTasks holds a control plane to a number of threads: far more than it
// needs, far fewer than what would harm its neighbours.
const maxTasks = 8192

// cpuShares puts a control plane ahead of the machines of its host (1024 for
// each of a machine's CPUs): when both are short of CPU the API server answers
// and the nodes wait, which is the order in which they start, too.
const cpuShares = 16 * 1024

// memoryBytes is what a control plane may take before one of its components is
// ended and started again: ten times what an idle one takes, so that a tenant
// who fills its API server harms nobody else on the host.
const memoryBytes = 3 << 30

// Options is what a Runtime needs.
type Options struct {
	// Home says where control planes live and what the install's names begin with.
	Home home.Home
	// Supervisor is the path of the berth-supervisor binary.
	Supervisor string
	// Cgroups are the host's.
	Cgroups cgroup.Hierarchy
}

// Runtime is the driver.
type Runtime struct {
	home       home.Home
	supervisor string
	cgroups    cgroup.Hierarchy
	// turns are those of control planes that change, starts of those that start.
	turns, starts *turns
	followers     *followers
}

var _ controlplane.Runtime = (*Runtime)(nil)

// New makes a Runtime. It starts nothing.
func New(options Options) *Runtime {
	return &Runtime{
		home: options.Home, supervisor: options.Supervisor, cgroups: options.Cgroups, turns: newTurns(time.Now, changesAtOnce), starts: newTurns(time.Now, startsAtOnce(runtime.NumCPU())),
		followers: newFollowers(time.Now),
	}
}

// Ensure implements controlplane.Runtime.
func (r *Runtime) Ensure(ctx context.Context, desired controlplane.Desired) (controlplane.Status, error) {
	dir := r.dir(desired.ID)
	files, components, err := controlplane.Components(desired, dir)
	if err != nil {
		return controlplane.Status{}, err
	}
	handle := supervise.Handle{
		Dir: dir, Program: r.supervisor, CgroupPath: r.cgroup(desired.ID),
		NetworkNamespace: desired.NetworkNamespace, UserID: desired.UserID,
	}
	last, lives, statusErr := handle.Status()
	running, runningErr := handle.Running() // components outlive a supervisor that was killed
	if err := errors.Join(statusErr, runningErr); err != nil {
		return controlplane.Status{}, fmt.Errorf("control plane %s: %w", desired.ID, err)
	}
	if !r.mayStart(desired, running) {
		return controlplane.Status{Queued: true, Message: "waits until other control planes of this host have started"}, nil
	}
	if err := r.ensureDir(desired, files); err != nil {
		return controlplane.Status{}, fmt.Errorf("control plane %s: %w", desired.ID, err)
	}
	if err := openPorts(desired.NetworkNamespace); err != nil {
		return controlplane.Status{}, fmt.Errorf("control plane %s: %w", desired.ID, err)
	}
	if err := r.cgroups.Create(r.cgroup(desired.ID), cgroup.Limits{Pids: maxTasks, CPUShares: cpuShares, MemoryBytes: memoryBytes}); err != nil {
		return controlplane.Status{}, fmt.Errorf("control plane %s: %w", desired.ID, err)
	}
	if !lives {
		last = supervise.Status{} // what it says is of another time
	}
	if components, err = r.place(ctx, desired, components, last); err == nil {
		former, _ := handle.Spec() // one that cannot be read is written anew
		components = r.inTurn(desired, former, components, last)
	}
	if err != nil {
		return controlplane.Status{}, fmt.Errorf("control plane %s: %w", desired.ID, err)
	}
	revision := pki.Digest(files)
	status, err := handle.Ensure(ctx, supervise.Spec{Components: components, Revision: revision})
	if err != nil {
		return controlplane.Status{}, fmt.Errorf("control plane %s: %w", desired.ID, err)
	}
	if desired.DatastoreOnly {
		return datastoreOnly(handle)
	}
	observed, err := observe(ctx, desired, status)
	if observed.Ready {
		r.starts.end(desired.ID)
		observed.Server, err = server(desired, status)
	}
	if r.turns.waits(desired.ID) {
		observed.Outdated = append(observed.Outdated, "all, after other control planes of this host")
	}
	if status.Revision != "" && status.Revision != revision { // what it says is of the files before
		observed.Outdated = append(observed.Outdated, "supervisor")
	}
	if err == nil && observed.Ready && len(observed.Outdated) == 0 {
		err = r.sweep(desired.ID, files)
	}
	return observed, err
}

// mayStart says whether a control plane may start now, or runs already. One that
// was starting when the process began has its turn.
func (r *Runtime) mayStart(desired controlplane.Desired, running bool) bool {
	return desired.DatastoreOnly || running || r.starts.take(desired.ID, false)
}

// datastoreOnly says whether etcd runs and nothing else does, as a supervisor
// that lives tells.
func datastoreOnly(handle supervise.Handle) (controlplane.Status, error) {
	seen, lives, err := handle.Status()
	status := controlplane.Status{Components: seen.Components, Message: "the API server ends before the data are replaced"}
	status.DatastoreOnly = lives && len(seen.Components) == 1 &&
		seen.Components[0].Name == controlplane.Etcd && seen.Components[0].PID != 0
	return status, err
}

// Stop implements controlplane.Runtime.
func (r *Runtime) Stop(ctx context.Context, id string) error {
	if !controlplane.ValidID(id) {
		return fmt.Errorf("stopping a control plane: %q is not an id", id)
	}
	r.starts.end(id)
	handle, err := r.handle(id)
	if errors.Is(err, fs.ErrNotExist) {
		return r.kill(ctx, id) // without a directory there is no order to keep
	}
	if err != nil {
		return fmt.Errorf("stopping control plane %s: %w", id, err)
	}
	err = handle.Stop(ctx)
	if errors.Is(err, supervise.ErrInProgress) {
		return controlplane.ErrInProgress
	}
	if err != nil {
		return fmt.Errorf("stopping control plane %s: %w", id, err)
	}
	if err := r.kill(ctx, id); err != nil { // what a component left behind
		return err
	}
	if err := r.cgroups.Remove(r.cgroup(id)); err != nil { // a stopped control plane is charged for nothing
		return fmt.Errorf("stopping control plane %s: %w", id, err)
	}
	return nil
}

// Delete implements controlplane.Runtime. The directory is removed last: as
// long as anything is left, List names the control plane.
func (r *Runtime) Delete(ctx context.Context, id string) error {
	if err := r.Stop(ctx, id); err != nil {
		return err
	}
	r.turns.end(id)
	r.followers.forget(id)
	if err := r.cgroups.Remove(r.cgroup(id)); err != nil {
		return fmt.Errorf("deleting control plane %s: %w", id, err)
	}
	if err := os.RemoveAll(r.dir(id)); err != nil {
		return fmt.Errorf("deleting control plane %s: %w", id, err)
	}
	return nil
}

// List implements controlplane.Runtime.
func (r *Runtime) List(context.Context) ([]string, error) {
	entries, err := os.ReadDir(r.home.ControlPlanesDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing control planes: %w", err)
	}
	var ids []string
	for _, entry := range entries {
		if controlplane.ValidID(entry.Name()) {
			ids = append(ids, entry.Name())
		}
	}
	groups, err := r.cgroups.List(r.cgroup(""))
	if err != nil {
		return nil, fmt.Errorf("listing control planes: %w", err)
	}
	for _, group := range groups {
		ids = append(ids, strings.TrimPrefix(group, r.cgroup("")))
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// kill ends what is left in the control plane's cgroup.
func (r *Runtime) kill(ctx context.Context, id string) error {
	if err := r.cgroups.Kill(ctx, r.cgroup(id)); err != nil {
		return fmt.Errorf("stopping control plane %s: %w", id, err)
	}
	return nil
}

func (r *Runtime) dir(id string) string { return filepath.Join(r.home.ControlPlanesDir(), id) }

func (r *Runtime) cgroup(id string) string { return r.home.Prefix() + "/cp-" + id }

// handle is that of an existing control plane. Who it belongs to is read from
// its directory, whose owner only root can change.
func (r *Runtime) handle(id string) (supervise.Handle, error) {
	info, err := os.Lstat(r.dir(id))
	if err != nil {
		return supervise.Handle{}, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return supervise.Handle{}, fmt.Errorf("%s is not a directory", r.dir(id))
	}
	handle := supervise.Handle{Dir: r.dir(id), Program: r.supervisor, UserID: int(owner.Uid)}
	groups, err := r.cgroups.List(r.cgroup(id))
	if err == nil && slices.Contains(groups, r.cgroup(id)) {
		handle.CgroupPath = r.cgroup(id)
	}
	return handle, err
}
