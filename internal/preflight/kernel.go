package preflight

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/nftables"

	"berth.dev/berth/internal/network"
)

// host is where checks look for the kernel's files, and how they make a user
// namespace; tests have a root of their own.
type host struct {
	root          string
	makeNamespace func() error
}

func (h host) read(path string) string {
	content, err := os.ReadFile(filepath.Join(h.root, path))
	if err != nil {
		return "" // a file that is not there says that the feature is not
	}
	return strings.TrimSpace(string(content))
}

func (h host) number(path string) (int, bool) {
	n, err := strconv.Atoi(h.read(path))
	return n, err == nil
}

func (h host) exists(path string) bool {
	_, err := os.Stat(filepath.Join(h.root, path))
	return err == nil
}

func checkRoot() Finding {
	if os.Geteuid() != 0 {
		return failed("root", "sudo berth up", "Berth makes namespaces, mounts and cgroups, and runs as uid %d", os.Geteuid())
	}
	return ok("root", "running as root")
}

// cgroups looks for the controllers that hold machines to their size.
func (h host) cgroups() Finding {
	const name = "cgroups"
	if h.exists("sys/fs/cgroup/cgroup.controllers") {
		have := strings.Fields(h.read("sys/fs/cgroup/cgroup.controllers"))
		if missing := without([]string{"cpu", "cpuset", "memory", "pids"}, have); len(missing) > 0 {
			return failed(name, "add cgroup_enable="+missing[0]+" to the kernel's command line and boot again",
				"version 2, without the controllers %s", strings.Join(missing, ", "))
		}
		return ok(name, "version 2 with every controller that is needed")
	}
	var missing []string
	for _, controller := range []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"} {
		if !h.exists("sys/fs/cgroup/" + controller + "/cgroup.procs") {
			missing = append(missing, controller)
		}
	}
	if len(missing) > 0 {
		return failed(name, "mount -t cgroup -o "+missing[0]+" cgroup /sys/fs/cgroup/"+missing[0],
			"version 1, without the hierarchies of %s", strings.Join(missing, ", "))
	}
	return ok(name, "version 1 with every controller that is needed")
}

func without(wanted, have []string) []string {
	var missing []string
	for _, w := range wanted {
		if !slices.Contains(have, w) {
			missing = append(missing, w)
		}
	}
	return missing
}

// nftables asks the kernel for its tables, which fails where it has no nf_tables.
func (h host) nftables() Finding {
	if os.Geteuid() != 0 {
		return ok("nftables", "can only be looked at by root")
	}
	connection, err := nftables.New()
	if err == nil {
		_, err = connection.ListTables()
	}
	if err != nil {
		return failed("nftables", "modprobe nf_tables", "the kernel's nf_tables does not answer: %v", err)
	}
	return ok("nftables", "the kernel answers")
}

// userNamespaces looks for what keeps a machine's root from being the host's.
// Without it no machine is made: a weaker class is not built, and would have to
// be asked for.
func (h host) userNamespaces() Finding {
	const name = "user namespaces"
	const lost = "nodes cannot be made: without a user namespace, root in a privileged pod would be root on this host"
	switch limit, known := h.number("proc/sys/user/max_user_namespaces"); {
	case !h.exists("proc/self/ns/user"):
		return failed(name, "boot a kernel that is built with CONFIG_USER_NS=y", "the kernel has none; %s", lost)
	case known && limit == 0:
		return failed(name, "sysctl -w user.max_user_namespaces=15000", "switched off; %s", lost)
	case known && limit < 64:
		return warning(name, "sysctl -w user.max_user_namespaces=15000", "only %d are allowed: as many machines can run", limit)
	}
	if err := h.makeNamespace(); err != nil {
		return failed(name, "run Berth where nothing forbids them: not in a container whose seccomp or AppArmor profile does, nor under a security module that does",
			"making one was refused (%v); %s", err, lost)
	}
	return ok(name, "allowed: root in a machine is nobody on this host")
}

// makeNamespace has the kernel make a user namespace with an id range of its own, as a
// machine has, for a process that has nothing to run: the null device is no
// program, and the answer EACCES says that the namespace was there before it.
// Only root may do it everywhere: for others it looks at nothing.
func makeNamespace() error {
	if os.Geteuid() != 0 {
		return nil
	}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 65534, Size: 1}}
	process, err := os.StartProcess(os.DevNull, []string{"probe"}, &os.ProcAttr{
		Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids},
	})
	if errors.Is(err, syscall.EACCES) {
		return nil
	}
	if err == nil {
		_, err = process.Wait()
	}
	return err
}

// inotify looks at the limit that API servers and kubelets run into first.
func (h host) inotify() Finding {
	const name = "inotify"
	const wanted = 1024
	if limit, known := h.number("proc/sys/fs/inotify/max_user_instances"); known && limit < wanted {
		return warning(name, "sysctl -w fs.inotify.max_user_instances=8192",
			"fs.inotify.max_user_instances is %d; nodes with many pods run out of instances (control planes and machines have ids of their own, and each id has this many)", limit)
	}
	if limit, known := h.number("proc/sys/fs/inotify/max_user_watches"); known && limit < 65536 {
		return warning(name, "sysctl -w fs.inotify.max_user_watches=524288", "fs.inotify.max_user_watches is %d", limit)
	}
	return ok(name, "enough instances and watches")
}

func (h host) files() Finding {
	if limit, known := h.number("proc/sys/fs/file-max"); known && limit < 200_000 {
		return warning("files", "sysctl -w fs.file-max=1048576", "fs.file-max is %d; a cluster with a node has about 3000 files open", limit)
	}
	return checkOpenFiles()
}

func (h host) processes() Finding {
	const wanted = 32768
	for _, setting := range []string{"pid_max", "threads-max"} {
		if limit, known := h.number("proc/sys/kernel/" + setting); known && limit < wanted {
			return warning("processes", "sysctl -w kernel."+setting+"=4194304", "kernel.%s is %d; a cluster with a node runs about 500 threads", setting, limit)
		}
	}
	return ok("processes", "enough process ids and threads")
}

// network looks for what routers and nodes need.
func (h host) network() Finding {
	var missing []string
	if !h.exists("dev/loop-control") {
		missing = append(missing, "loop")
	}
	if !strings.Contains(h.read("proc/filesystems"), "overlay") {
		missing = append(missing, "overlay")
	}
	if len(missing) > 0 {
		return failed("kernel", "modprobe -a "+strings.Join(missing, " "), "the kernel lacks %s", strings.Join(missing, ", "))
	}
	return ok("kernel", "loop devices and overlayfs are there")
}

// checkRange says whether the range of public addresses is free.
func (h host) checkRange(options Options) Finding {
	const name = "public range"
	if !options.PublicRange.IsValid() || options.Running || options.HostRoutes == nil {
		return ok(name, "Berth uses its own, or picks a free one")
	}
	routes, err := options.HostRoutes()
	if err != nil {
		return warning(name, "", "cannot read the host's routes: %v", err)
	}
	if options.Announced {
		routes = slices.DeleteFunc(routes, func(r netip.Prefix) bool {
			return r.Contains(options.PublicRange.Addr()) && r.Bits() < options.PublicRange.Bits()
		})
	}
	if route, taken := network.OverlappingRoute(options.PublicRange, routes); taken {
		return failed(name, "berth up --public-range <a free range>", "%s is taken: the host has a route to %s", options.PublicRange, route)
	}
	return ok(name, "%s is free", options.PublicRange)
}
