// Package cgroup makes, joins, lists, kills and removes control groups, on
// hosts with cgroup v1 and v2 alike. A group's name is what makes a process
// Berth's: it is joined before the program runs, so that nothing that Berth
// started can be missed, whoever died meanwhile.
//
// Names are relative paths such as "berth-ab3d/cp-<incarnation>". With v1 every
// controller's hierarchy, and the one named systemd, has the same group; with
// v2 there is one tree. The package knows no resource of Berth's.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is where hosts mount cgroups.
const Root = "/sys/fs/cgroup"

// The errors of a Hierarchy, matched by errors.Is.
var (
	// ErrUnsupported says that the host's cgroups lack what Berth needs.
	ErrUnsupported = errors.New("unsupported")
	// ErrBusy says that a group still has processes.
	ErrBusy = errors.New("busy")
)

// Limits hold a group; a zero field sets no limit.
type Limits struct {
	// MilliCPU is the processor time in thousandths of a processor.
	MilliCPU int64
	// CPUShares is the weight against sibling groups, 1024 being the default (v1's scale).
	CPUShares int64
	// MemoryBytes is the memory, page cache included.
	MemoryBytes int64
	// Pids is the number of tasks.
	Pids int64
}

// Hierarchy is the host's cgroup tree, or trees.
type Hierarchy struct {
	version int
	// trees are the mount points: one for v2, one per controller for v1.
	trees []string
}

// v1Controllers are the hierarchies that a v1 host has, the named one last.
func v1Controllers() []string {
	return []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd"}
}

// required are the controllers without which a machine cannot be held to its size.
func required() []string { return []string{"cpu", "memory", "pids"} }

// Detect finds the host's cgroups.
func Detect() (Hierarchy, error) { return detect(Root) }

func detect(root string) (Hierarchy, error) {
	if controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers")); err == nil {
		have := strings.Fields(string(controllers))
		for _, name := range required() {
			if !slices.Contains(have, name) {
				return Hierarchy{}, fmt.Errorf("detecting cgroups: %s has no controller %s: %w", root, name, ErrUnsupported)
			}
		}
		return Hierarchy{version: 2, trees: []string{root}}, nil
	}
	hierarchy := Hierarchy{version: 1}
	for _, name := range v1Controllers() {
		tree, err := filepath.EvalSymlinks(filepath.Join(root, name)) // cpu and cpuacct are often one mount
		if err == nil {
			_, err = os.Stat(filepath.Join(tree, "cgroup.procs"))
		}
		if err != nil {
			if slices.Contains(required(), name) {
				return Hierarchy{}, fmt.Errorf("detecting cgroups: no v1 controller %s below %s: %w", name, root, ErrUnsupported)
			}
			continue
		}
		if !slices.Contains(hierarchy.trees, tree) {
			hierarchy.trees = append(hierarchy.trees, tree)
		}
	}
	return hierarchy, nil
}

// Version is 1 or 2.
func (h Hierarchy) Version() int { return h.version }

// Trees are the directories below which a group's directories lie: one with
// v2, one per controller with v1.
func (h Hierarchy) Trees() []string { return slices.Clone(h.trees) }

// Create makes a group, and its parents, and sets its limits. A group that
// exists gets the limits.
func (h Hierarchy) Create(name string, limits Limits) error {
	if err := check(name); err != nil {
		return err
	}
	for _, tree := range h.trees {
		if err := h.makeIn(tree, name); err != nil {
			return fmt.Errorf("creating cgroup %s: %w", name, err)
		}
	}
	for _, setting := range h.settings(limits) {
		if err := h.set(name, setting); err != nil {
			return fmt.Errorf("limiting cgroup %s: %w", name, err)
		}
	}
	return nil
}

// makeIn makes a group and its parents in one tree, ready for processes.
func (h Hierarchy) makeIn(tree, name string) error {
	parent := tree
	for part := range strings.SplitSeq(name, "/") {
		if h.version == 2 {
			if err := enableControllers(parent); err != nil {
				return err
			}
		}
		dir := filepath.Join(parent, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if h.version == 1 {
			if err := inheritCPUSet(parent, dir); err != nil {
				return err
			}
		}
		parent = dir
	}
	return nil
}

// inheritCPUSet fills a v1 cpuset that is empty: no process can join it before.
func inheritCPUSet(parent, dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // not the cpuset tree
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(own)) != "" {
			continue
		}
		inherited, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			return err
		}
		if err := write(filepath.Join(dir, file), strings.TrimSpace(string(inherited))); err != nil {
			return err
		}
	}
	return nil
}

// enableControllers hands a v2 group's controllers down to its children.
func enableControllers(dir string) error {
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	enabled, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return err
	}
	for _, name := range []string{"cpu", "cpuset", "memory", "pids", "io"} {
		if !slices.Contains(strings.Fields(string(available)), name) || slices.Contains(strings.Fields(string(enabled)), name) {
			continue
		}
		err := write(filepath.Join(dir, "cgroup.subtree_control"), "+"+name)
		if err != nil && slices.Contains(required(), name) {
			return fmt.Errorf("enabling controller %s (a group with processes of its own cannot): %w", name, err)
		}
	}
	return nil
}

// Join moves the calling process into a group.
func (h Hierarchy) Join(name string) error {
	if err := check(name); err != nil {
		return err
	}
	for _, tree := range h.trees {
		if err := write(filepath.Join(tree, name, "cgroup.procs"), "0"); err != nil {
			return fmt.Errorf("joining cgroup %s: %w", name, err)
		}
	}
	return nil
}

// Processes are the processes in a group and in all groups below it, in
// ascending order; none for a group that does not exist.
func (h Hierarchy) Processes(name string) ([]int, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	var pids []int
	for _, tree := range h.trees {
		groups, err := groupsBelow(filepath.Join(tree, name))
		if err != nil {
			return nil, fmt.Errorf("listing the processes of cgroup %s: %w", name, err)
		}
		for _, dir := range groups {
			found, err := processesIn(dir)
			if err != nil {
				return nil, fmt.Errorf("listing the processes of cgroup %s: %w", name, err)
			}
			pids = append(pids, found...)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

func processesIn(dir string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if gone(err) || errors.Is(err, unix.EOPNOTSUPP) { // EOPNOTSUPP: a threaded v2 group, listed by its domain
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var pids []int
	for line := range strings.FieldsSeq(string(data)) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			return nil, err
		}
		if pid > 0 { // 0: a process of another pid namespace
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// List names the groups whose name begins with prefix and that lie directly in
// the prefix's own directory: "berth-ab3d/cp-" lists that instance's groups of
// control planes, "berth-ab3d/" all of its groups, "berth-" the instances.
func (h Hierarchy) List(prefix string) ([]string, error) {
	parent, base := "", prefix
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		parent, base = prefix[:i], prefix[i+1:]
	}
	var names []string
	for _, tree := range h.trees {
		entries, err := os.ReadDir(filepath.Join(tree, parent))
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listing cgroups %s*: %w", prefix, err)
		}
		for _, entry := range entries {
			if entry.IsDir() && strings.HasPrefix(entry.Name(), base) {
				names = append(names, filepath.Join(parent, entry.Name()))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Kill ends every process in a group and in all groups below it, and returns
// once none is left or the context has ended.
func (h Hierarchy) Kill(ctx context.Context, name string) error {
	for {
		pids, err := h.Processes(name)
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return nil
		}
		if err := kill(ctx, pids); err != nil {
			return fmt.Errorf("killing cgroup %s: %w", name, err)
		}
	}
}

// check refuses names that lead out of the tree or name its root.
func check(name string) error {
	if name == "" || name == "." || !filepath.IsLocal(name) || filepath.Clean(name) != name {
		return fmt.Errorf("%q is not the name of a cgroup", name)
	}
	return nil
}

// gone says whether an error means that a group is not, or no longer, there.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}

func write(path, value string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	return errors.Join(err, file.Close())
}
