// Package leak compares what is on a host before and after a run: processes,
// network namespaces, links, routes, nft tables, mounts, loop devices, cgroups
// and every setting below /proc/sys. It only looks.
package leak

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// Snapshot is what was seen, by kind.
type Snapshot map[string]map[string]string

// counters are the settings below /proc/sys that the kernel counts or draws by
// itself, or in which it keeps what befell it (a machine without a free processor
// for long is tainted by that); all others must be the same before and after.
func counters() []string {
	return []string{
		"fs/aio-nr", "fs/dentry-state", "fs/file-nr", "fs/inode-nr", "fs/inode-state", "fs/quota/",
		"kernel/ns_last_pid", "kernel/tainted", "kernel/hung_task_detect_count", "kernel/hung_task_warnings",
		"kernel/random/", "kernel/pty/nr", "kernel/perf_event_max_sample_rate", "kernel/sched_domain/", "net/netfilter/nf_conntrack_count",
	}
}

// Instance is an install by the names that all it makes carries. The zero
// Instance matches nothing, which is what there is before an install is made.
type Instance struct {
	// ID is the four-letter id.
	ID string
	// Home is the home directory.
	Home string
}

// owns says whether a name carries the instance's own.
func (i Instance) owns(name string) bool {
	return i.ID != "" && (strings.Contains(name, "berth-"+i.ID) || strings.Contains(name, "berth"+i.ID) || strings.Contains(name, i.Home))
}

// Take looks at the host: at what the instance owns, and at the routes and
// settings that belong to no one.
func Take(instance Instance) (Snapshot, error) {
	s := Snapshot{}
	for kind, look := range map[string]func(Instance) (map[string]string, error){
		"process": processes, "netns": namespaces, "link": links, "route": routes, "nft table": tables,
		"mount": mounts, "loop device": loops, "cgroup": cgroups, "sysctl": sysctls,
	} {
		seen, err := look(instance)
		if err != nil {
			return nil, fmt.Errorf("looking at each %s: %w", kind, err)
		}
		s[kind] = seen
	}
	return s, nil
}

// Diff says what is new, gone or different after, one line each.
func Diff(before, after Snapshot) []string {
	var lines []string
	for kind := range after {
		for name, value := range after[kind] {
			old, known := before[kind][name]
			switch {
			case !known:
				lines = append(lines, fmt.Sprintf("left behind: %s %s %s", kind, name, value))
			case old != value:
				lines = append(lines, fmt.Sprintf("changed: %s %s from %q to %q", kind, name, old, value))
			}
		}
		for name := range before[kind] {
			if _, still := after[kind][name]; !still {
				lines = append(lines, fmt.Sprintf("gone: %s %s", kind, name))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func processes(instance Instance) (map[string]string, error) {
	seen := map[string]string{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err != nil {
			continue
		}
		directory := filepath.Join("/proc", entry.Name())
		cgroup, _ := os.ReadFile(filepath.Join(directory, "cgroup")) // the process may have ended meanwhile
		command, _ := os.ReadFile(filepath.Join(directory, "cmdline"))
		if instance.owns(string(cgroup)) || instance.owns(string(command)) {
			seen[entry.Name()] = strings.ReplaceAll(string(command), "\x00", " ")
		}
	}
	return seen, nil
}

func namespaces(instance Instance) (map[string]string, error) {
	seen := map[string]string{}
	entries, err := os.ReadDir("/run/netns")
	if os.IsNotExist(err) {
		return seen, nil
	}
	for _, entry := range entries {
		if instance.owns(entry.Name()) {
			seen[entry.Name()] = ""
		}
	}
	return seen, err
}

func links(instance Instance) (map[string]string, error) {
	seen := map[string]string{}
	interfaces, err := net.Interfaces()
	for _, i := range interfaces {
		if instance.owns(i.Name) {
			seen[i.Name] = ""
		}
	}
	return seen, err
}

// routes are all of the host's main table but those of other instances' links.
func routes(instance Instance) (map[string]string, error) {
	seen := map[string]string{}
	all, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	for _, route := range all {
		name := ""
		if link, err := netlink.LinkByIndex(route.LinkIndex); err == nil {
			name = link.Attrs().Name
		}
		if strings.HasPrefix(name, "berth") && !instance.owns(name) || name == "" {
			continue
		}
		seen[fmt.Sprintf("%s dev %s", route.Dst, name)] = ""
	}
	return seen, err
}

func tables(instance Instance) (map[string]string, error) {
	seen := map[string]string{}
	connection, err := nftables.New()
	if err != nil {
		return nil, err
	}
	all, err := connection.ListTables()
	for _, table := range all {
		if instance.owns(table.Name) {
			seen[table.Name] = ""
		}
	}
	return seen, err
}

func mounts(instance Instance) (map[string]string, error) {
	seen := map[string]string{}
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mountinfo)) {
		if instance.owns(line) {
			seen[strings.TrimSpace(line)] = ""
		}
	}
	return seen, err
}

func loops(instance Instance) (map[string]string, error) {
	seen := map[string]string{}
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, file := range files {
		backing, _ := os.ReadFile(file) // detached meanwhile
		if instance.owns(string(backing)) {
			seen[file] = strings.TrimSpace(string(backing))
		}
	}
	return seen, err
}

func cgroups(instance Instance) (map[string]string, error) {
	seen := map[string]string{}
	for _, pattern := range []string{"/sys/fs/cgroup/berth-*", "/sys/fs/cgroup/*/berth-*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			if instance.owns(path) {
				seen[path] = ""
			}
		}
	}
	return seen, nil
}

// sysctls are all readable settings but the counters and those of single links.
func sysctls(Instance) (map[string]string, error) {
	seen := map[string]string{}
	err := filepath.WalkDir("/proc/sys", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil // a link's settings may vanish while we look
		}
		name := strings.TrimPrefix(path, "/proc/sys/")
		if slices.ContainsFunc(counters(), func(c string) bool { return strings.HasPrefix(name, c) }) || perLink(name) {
			return nil
		}
		if content, err := os.ReadFile(path); err == nil {
			seen[name] = strings.TrimSpace(string(content))
		}
		return nil
	})
	return seen, err
}

// perLink says whether a setting belongs to one link: net/ipv4/conf/<link>/… and its like.
func perLink(name string) bool {
	parts := strings.Split(name, "/")
	return len(parts) > 4 && parts[0] == "net" && (parts[2] == "conf" || parts[2] == "neigh") && parts[3] != "all" && parts[3] != "default"
}
