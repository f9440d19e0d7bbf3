// Command probe is the only program in the node image of the sandbox driver's
// tests: it looks around in its machine and reports what it finds.
//
//	probe look   counts the machine's starts on its disk, writes Report as JSON, waits for SIGTERM
//	probe eat    takes memory until it is killed
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Report is what a machine looks like from inside.
type Report struct {
	Starts     int
	UID        int
	PID        int
	Hostname   string
	Processors int
	Online     string
	MemTotal   string
	Forwarding string
	Root       []string
	Devices    []string
	HostFile   bool
	Archives   []string
	Plugins    []string
	Secret     string
	SecretMode string
	Refused    map[string]string
	DiskMiB    uint64
	Inotify    int
	// NetworkOwner is who the kernel says that the files below /proc/net belong to.
	NetworkOwner int
	// Connections is why the table of connections could not be read; empty if it could.
	Connections string
}

const dir = "/var/probe"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "eat":
		eat()
		return nil
	case len(args) == 2 && args[0] == "look":
		report, err := look(args[1])
		if err != nil {
			return err
		}
		data, err := json.Marshal(report)
		if err != nil {
			return err
		}
		if err := os.WriteFile(dir+"/report.new", data, 0o644); err != nil {
			return err
		}
		if err := os.Rename(dir+"/report.new", dir+"/report.json"); err != nil {
			return err
		}
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, unix.SIGTERM)
		<-stop
		return nil
	}
	return fmt.Errorf("unknown arguments %q", args)
}

// eat touches a page after another.
func eat() {
	var held [][]byte
	for {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		held = append(held, block)
		if len(held) > 1<<20 {
			return
		}
	}
}

func look(hostFile string) (Report, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Report{}, err
	}
	starts, _ := os.ReadFile(dir + "/starts")
	starts = append(starts, '.')
	if err := os.WriteFile(dir+"/starts", starts, 0o644); err != nil {
		return Report{}, err
	}
	hostname, err := os.Hostname()
	if err != nil {
		return Report{}, err
	}
	_, hostErr := os.Stat(hostFile)
	info, err := os.Stat("/etc/secret")
	if err != nil {
		return Report{}, err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs("/", &disk); err != nil {
		return Report{}, err
	}
	var network unix.Stat_t
	if err := unix.Stat("/proc/net/dev", &network); err != nil {
		return Report{}, err
	}
	_, connectionsErr := os.ReadFile("/proc/net/nf_conntrack")
	return Report{
		NetworkOwner: int(network.Uid), Connections: say(connectionsErr),
		Starts: len(starts), UID: os.Getuid(), PID: os.Getpid(), Hostname: hostname,
		Processors: strings.Count(read("/proc/cpuinfo"), "processor\t"),
		Online:     read("/sys/devices/system/cpu/online"),
		MemTotal:   strings.Fields(read("/proc/meminfo") + " - -")[1],
		Forwarding: read("/proc/sys/net/ipv4/ip_forward"),
		Root:       names("/"), Devices: names("/dev"), HostFile: hostErr == nil,
		Archives: names("/opt/berth/images"), Plugins: names("/opt/cni/bin"),
		Secret: read("/etc/secret"), SecretMode: info.Mode().String(),
		Refused: refused(), DiskMiB: disk.Blocks * uint64(disk.Bsize) >> 20, Inotify: inotify(),
	}, nil
}

func say(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// refused tries what a machine must not be able to do; an empty answer means that it could.
func refused() map[string]string {
	write := func(path string) error {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err == nil {
			file.Close()
		}
		return err
	}
	cgroups, err := filepath.Glob("/sys/fs/cgroup/memory*/memory.limit_in_bytes")
	if len(cgroups) == 0 || err != nil {
		cgroups = []string{"/sys/fs/cgroup/memory.max"}
	}
	return map[string]string{
		"make a block device":      say(unix.Mknod(dir+"/disk", unix.S_IFBLK|0o600, int(unix.Mkdev(7, 0)))),
		"set the core pattern":     say(write("/proc/sys/kernel/core_pattern")),
		"trigger sysrq":            say(write("/proc/sysrq-trigger")),
		"raise its own limit":      say(write(cgroups[0])),
		"replace a lent program":   say(write("/opt/berth/bin/probe")),
		"replace its supervisor":   say(write("/proc/1/exe")),
		"read the kernel's memory": say(func() error { _, err := os.ReadFile("/proc/kcore"); return err }()),
	}
}

// inotify counts how many instances the machine may have.
func inotify() int {
	var open []int
	for len(open) < 1024 {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			break
		}
		open = append(open, fd)
	}
	for _, fd := range open {
		unix.Close(fd)
	}
	return len(open)
}

func read(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(data))
}

func names(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}
