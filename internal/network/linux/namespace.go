package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/thread"
)

// threadNamespace is the network namespace of the thread that opens it.
const threadNamespace = "/proc/thread-self/ns/net"

// ensureNamespace makes a named network namespace with settings, or heals one:
// a file without a namespace mounted on it is what a crash leaves. The
// settings are in force before the name leads anywhere.
func ensureNamespace(path string, settings []setting) error {
	mounted, err := isNamespace(path)
	if err != nil {
		return err
	}
	if mounted {
		return applyIn(path, settings)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making the directory of namespaces: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0)
	if err != nil {
		return fmt.Errorf("making the file of namespace %s: %w", path, err)
	}
	file.Close()
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making namespace %s: %w", path, err)
		}
		if err := apply(settings); err != nil {
			return err
		}
		if err := unix.Mount(threadNamespace, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("naming namespace %s: %w", path, err)
		}
		return nil
	})
}

// deleteNamespace removes the name of a namespace and every mount on it. The
// namespace itself ends with its last process.
func deleteNamespace(path string) error {
	if err := unmountAll(path); err != nil {
		return err
	}
	err := os.Remove(path)
	if errors.Is(err, unix.EBUSY) {
		err = removeCovered(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing namespace %s: %w", path, err)
	}
	return nil
}

// unmountAll unmounts whatever is mounted at a path, one above the other.
func unmountAll(path string) error {
	for {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil // nothing is mounted there (any more)
		}
		if err != nil {
			return fmt.Errorf("unmounting %s: %w", path, err)
		}
	}
}

// removeCovered removes the file of a namespace that is mounted where no path
// leads: ip-netns(8) and CNI, when they first run on a host, mount the
// directory of namespaces over itself with all that is mounted in it, and what was there
// before lies covered, out of reach. In a copy of the mounts it can be
// uncovered without harm, and a file that is no mount point in the own copy can be
// removed; with it the kernel takes away the mounts on it in every other.
func removeCovered(path string) error {
	return thread.OnMortal(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("copying the mounts: %w", err)
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("separating the copy of the mounts: %w", err)
		}
		if err := errors.Join(unmountAll(filepath.Dir(path)), unmountAll(path)); err != nil {
			return err
		}
		return os.Remove(path)
	})
}

// isNamespace says whether a namespace is to be found at a path, mounted or
// as a file of /proc.
func isNamespace(path string) (bool, error) {
	var stat unix.Statfs_t
	err := unix.Statfs(path, &stat)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking at namespace %s: %w", path, err)
	}
	return stat.Type == unix.NSFS_MAGIC, nil
}

// inNamespace runs do on a thread inside a namespace. What do opens stays
// there; what do starts does not.
func inNamespace(namespace *os.File, do func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering namespace %s: %w", namespace.Name(), err)
		}
		return do()
	})
}

// onThread runs do on a thread of its own, which do may move to another
// network namespace. The thread is moved back; one that cannot be is not
// given back to the pool but ends with its goroutine.
func onThread(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(threadNamespace)
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("finding the own namespace: %w", err)
			return
		}
		defer home.Close()
		err = do()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// setting is one file under /proc/sys/net and what is to be in it.
type setting struct {
	name  string
	value string
	// optional is set for what a kernel may lack, such as IPv6.
	optional bool
}

// routingSettings make a namespace route and nothing else. The strict source
// check is the reverse path filter: a packet from a link must carry an address
// that is routed to that link.
func routingSettings() []setting {
	settings := []setting{{name: "ipv4/ip_forward", value: "1"}}
	for _, scope := range []string{"all", "default"} {
		conf := "ipv4/conf/" + scope + "/"
		settings = append(settings,
			setting{name: conf + "rp_filter", value: "1"},
			setting{name: conf + "send_redirects", value: "0"},
			setting{name: conf + "accept_redirects", value: "0"},
			setting{name: conf + "accept_source_route", value: "0"},
			setting{name: conf + "accept_local", value: "0"},
			setting{name: conf + "arp_ignore", value: "0"},
			setting{name: conf + "arp_filter", value: "0"},
			setting{name: conf + "proxy_arp", value: "0"},
			setting{name: conf + "route_localnet", value: "0"},
		)
	}
	return append(settings, withoutIPv6()...)
}

// withoutIPv6 turns IPv6 off, for every link there is and will be.
func withoutIPv6() []setting {
	return []setting{
		{name: "ipv6/conf/all/disable_ipv6", value: "1", optional: true},
		{name: "ipv6/conf/default/disable_ipv6", value: "1", optional: true},
	}
}

// apply brings settings about in the namespace of the calling thread and
// writes only what differs.
func apply(settings []setting) error {
	for _, s := range settings {
		path := "/proc/sys/net/" + s.name
		current, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && s.optional {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading a network setting: %w", err)
		}
		if strings.TrimSpace(string(current)) == s.value {
			continue
		}
		if err := os.WriteFile(path, []byte(s.value), 0); err != nil {
			return fmt.Errorf("writing a network setting: %w", err)
		}
	}
	return nil
}

// applyIn is apply in a namespace.
func applyIn(path string, settings []setting) error {
	namespace, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening namespace %s: %w", path, err)
	}
	defer namespace.Close()
	return inNamespace(namespace, func() error { return apply(settings) })
}
