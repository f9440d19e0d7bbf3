// Package sandbox makes machines out of namespaces: a process tree in a user
// namespace with an id range of its own, pivoted into a root of its own over
// the node image, on a disk of its own, held to its size by a cgroup. It needs
// nothing but the kernel. What happens inside is package inside's.
//
//	<home>/machines/<id>/lock          held while a machine is being made or removed
//	<home>/machines/<id>/machine.json  the machine, stored before anything is made (0600)
//	<home>/machines/<id>/disk          the disk, complete once it has this name
//	<home>/machines/<id>/staging/      where the launcher mounts, in its own namespace
//	<home>/machines/<id>/launch.log    what the last launch said
//
// Everything else (namespaces, mounts, the loop device) lives and dies with
// the machine's processes, and those are found by their cgroup,
// berth-<instance>/machine-<id>. So there is nothing that a killed daemon
// could forget: what runs is adopted, what is half made is made again.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/machine/sandbox/inside"
)

// machinePids is how many tasks a machine may have: several kubelets' worth of
// pods, and far from what would exhaust a host.
const machinePids = 16384

// Options say where machines live.
type Options struct {
	// Home is the instance's home.
	Home home.Home
	// Supervisor is the path of the berth-supervisor binary.
	Supervisor string
	// Cgroups are the host's.
	Cgroups cgroup.Hierarchy
}

// Provider makes sandbox machines.
type Provider struct {
	options Options
}

var _ machine.Provider = (*Provider)(nil)

// New returns a Provider. It touches nothing.
func New(options Options) *Provider { return &Provider{options: options} }

// Isolation is the class of the machines: always a user namespace. Where a
// host forbids them, Ensure says so; a weaker class is not made silently.
func (p *Provider) Isolation() machine.Isolation { return machine.IsolationUserNamespace }

// Ensure makes the machine run.
func (p *Provider) Ensure(ctx context.Context, desired machine.Desired) (machine.Status, error) {
	if err := validate(desired); err != nil {
		return machine.Status{}, err
	}
	dir := p.dir(desired.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return machine.Status{}, fmt.Errorf("making the machine's directory: %w", err)
	}
	lock, err := tryLock(dir)
	if errors.Is(err, errLocked) {
		return machine.Status{Message: "an earlier start is still going on"}, nil
	}
	if err != nil {
		return machine.Status{}, err
	}
	defer lock.Close()

	first, err := p.firstProcess(desired.ID)
	if err == nil && first != 0 && !desired.AtStart {
		err = p.update(desired, first)
	}
	if err != nil || first != 0 {
		return p.observe(desired, first), err
	}
	if left, err := p.options.Cgroups.Processes(p.group(desired.ID)); err != nil || len(left) > 0 {
		// The kernel is ending what the first process left, or a launch was cut off.
		return machine.Status{Message: "waiting for the machine's former processes to end"},
			errors.Join(err, p.kill(ctx, desired.ID))
	}
	if err := p.start(ctx, desired, lock); err != nil {
		return machine.Status{}, fmt.Errorf("starting machine %s: %w", desired.ID, err)
	}
	first, err = p.firstProcess(desired.ID)
	return p.observe(desired, first), err
}

// start makes what the machine needs, in an order in which each step finds the
// one before it complete, and launches it.
func (p *Provider) start(ctx context.Context, desired machine.Desired, lock *os.File) error {
	dir, group := p.dir(desired.ID), p.group(desired.ID)
	record := inside.Record{Desired: desired, Cgroup: group}
	if err := record.Write(dir); err != nil {
		return err
	}
	if err := ensureDisk(ctx, dir, desired); err != nil {
		return err
	}
	limits := cgroup.Limits{
		MilliCPU:    int64(desired.Size.CPUs) * 1000,
		CPUShares:   int64(desired.Size.CPUs) * 1024,
		MemoryBytes: int64(desired.Size.MemoryMiB) << 20,
		Pids:        machinePids,
	}
	// The groups of a former start's pods: empty by now, and a kubelet that finds
	// them spends seconds on each.
	if err := p.options.Cgroups.Remove(group); err != nil {
		return err
	}
	if err := p.options.Cgroups.Create(group, limits); err != nil {
		return err
	}
	if err := p.options.Cgroups.Delegate(group, desired.IDRangeStart); err != nil {
		return err
	}
	return p.launch(dir, lock)
}

// Stop ends the machine's processes and keeps its disk. They are killed, not
// asked. The disk is unmounted whole, since the mounts go with the processes;
// to pods it is a crash, unless whoever wanted better has drained the node.
func (p *Provider) Stop(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	if _, err := os.Stat(p.dir(id)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := p.end(ctx, id); err != nil {
		return err
	}
	return p.removeGroup(id) // a stopped machine is charged for nothing
}

// removeGroup removes the machine's cgroup, which the kernel may need a moment for.
func (p *Provider) removeGroup(id string) error {
	err := p.options.Cgroups.Remove(p.group(id))
	if errors.Is(err, cgroup.ErrBusy) {
		return fmt.Errorf("removing the cgroup of machine %s: %w", id, machine.ErrInProgress)
	}
	return err
}

// Delete ends the machine and removes all of it.
func (p *Provider) Delete(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	if err := p.end(ctx, id); err != nil {
		return err
	}
	if err := p.removeGroup(id); err != nil {
		return err
	}
	if err := os.RemoveAll(p.dir(id)); err != nil {
		return fmt.Errorf("removing machine %s: %w", id, err)
	}
	return nil
}

// end kills the machine and returns nil once no process is left and its disk
// is detached.
func (p *Provider) end(ctx context.Context, id string) error {
	if err := p.kill(ctx, id); err != nil {
		return err
	}
	lock, err := tryLock(p.dir(id))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, errLocked):
		return fmt.Errorf("machine %s is being started: %w", id, machine.ErrInProgress)
	case err != nil:
		return err
	}
	defer lock.Close()
	if err := p.kill(ctx, id); err != nil { // a launch may have begun before the lock
		return err
	}
	attached, err := diskAttached(filepath.Join(p.dir(id), inside.DiskFile))
	if err != nil {
		return err
	}
	if attached {
		return fmt.Errorf("the disk of machine %s is still in use: %w", id, machine.ErrInProgress)
	}
	return nil
}

// List names every machine of which anything is left.
func (p *Provider) List(context.Context) ([]string, error) {
	var ids []string
	entries, err := os.ReadDir(p.options.Home.MachinesDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing machines: %w", err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			ids = append(ids, entry.Name())
		}
	}
	prefix := p.group("")
	groups, err := p.options.Cgroups.List(prefix)
	if err != nil {
		return nil, fmt.Errorf("listing machines: %w", err)
	}
	for _, group := range groups {
		ids = append(ids, strings.TrimPrefix(group, prefix))
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// observe says how a machine with that first process stands.
func (p *Provider) observe(desired machine.Desired, first int) machine.Status {
	if first == 0 {
		return machine.Status{Message: "the machine has no first process"}
	}
	status := machine.Status{Running: true, NetworkNamespace: fmt.Sprintf("/proc/%d/ns/net", first)}
	seen, err := readStatus(first)
	if err != nil {
		status.Message = err.Error()
		return status
	}
	status.Components = seen.Components
	status.Outdated = seen.Revision != desired.Spec().Revision
	for _, component := range seen.Components {
		status.Outdated = status.Outdated || component.Outdated
		if component.Waiting != "" && status.Message == "" {
			status.Message = component.Name + " waits: " + component.Waiting
		}
	}
	return status
}

func (p *Provider) dir(id string) string { return filepath.Join(p.options.Home.MachinesDir(), id) }

func (p *Provider) group(id string) string { return p.options.Home.Prefix() + "/machine-" + id }

// validate refuses what the driver could not make, before it makes anything.
func validate(desired machine.Desired) error {
	if err := checkID(desired.ID); err != nil {
		return err
	}
	switch {
	case desired.Size.CPUs < 1 || desired.Size.MemoryMiB < 1:
		return fmt.Errorf("machine %s has no size", desired.ID)
	case desired.DiskGiB < 1:
		return fmt.Errorf("machine %s has no disk", desired.ID)
	case desired.IDRangeStart < inside.IDRangeLength:
		return fmt.Errorf("machine %s: the id range from %d would hold ids of the host", desired.ID, desired.IDRangeStart)
	case !filepath.IsAbs(desired.Image):
		return fmt.Errorf("machine %s: the node image %q is not an absolute path", desired.ID, desired.Image)
	}
	names := map[string]bool{}
	for _, component := range desired.Components {
		if component.Name == "" || names[component.Name] {
			return fmt.Errorf("machine %s: component name %q is empty or used twice", desired.ID, component.Name)
		}
		names[component.Name] = true
	}
	return nil
}

// checkID refuses ids that would lead out of the directory.
func checkID(id string) error {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`).MatchString(id) {
		return fmt.Errorf("%q is not the id of a machine", id)
	}
	return nil
}
