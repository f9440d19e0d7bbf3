// Command escape tries to get out of a machine, from a pod that is root on it
// with every capability, and prints a line for each way: its name and "out" or
// what stopped it. On the host itself every way is out, which is the control.
//
// usage: escape FILE SOCKET PORT MAJOR MINOR PID
//
// FILE and SOCKET are a file and a socket that only root of the host has, PORT is a
// port of the host's loopback, MAJOR and MINOR its disk, PID a process of its own.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// target is what belongs to the host.
type target struct {
	file, socket, port string
	device             int
	pid                string
}

func main() {
	if len(os.Args) != 7 {
		fmt.Fprintln(os.Stderr, "usage: escape FILE SOCKET PORT MAJOR MINOR PID")
		os.Exit(2)
	}
	major, _ := strconv.Atoi(os.Args[4])
	minor, _ := strconv.Atoi(os.Args[5])
	t := target{file: os.Args[1], socket: os.Args[2], port: os.Args[3], device: major<<8 | minor&0xff | (minor&^0xff)<<12, pid: os.Args[6]}
	for _, way := range []struct {
		name string
		try  func(target) error
	}{
		{"file", file}, {"socket", socket}, {"loopback", loopback}, {"proc", proc}, {"core-pattern", corePattern}, {"disk", disk}, {"release-agent", releaseAgent}, {"first-process", firstProcess},
	} {
		if err := way.try(t); err != nil {
			fmt.Printf("%s stopped: %v\n", way.name, err)
		} else {
			fmt.Printf("%s out\n", way.name)
		}
	}
}

// roots are the directories that may be the host's root.
func roots() []string {
	all := []string{"", "/node", "/proc/1/root", "/node/proc/1/root"}
	more, _ := filepath.Glob("/proc/[0-9]*/root")
	return append(all, more...)
}

func anywhere(do func(root string) error) (err error) {
	err = errors.New("nothing was tried")
	for _, root := range roots() {
		if err = do(root); err == nil {
			return nil
		}
	}
	return err
}

func file(t target) error {
	return anywhere(func(root string) error {
		_, err := os.ReadFile(root + t.file)
		return err
	})
}

func socket(t target) error {
	return anywhere(func(root string) error {
		conn, err := net.DialTimeout("unix", root+t.socket, time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

func loopback(t target) error {
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+t.port, time.Second)
	if err == nil {
		conn.Close()
	}
	return err
}

// proc mounts a fresh /proc and looks for a process of the host in it.
func proc(t target) error {
	dir, err := mounted("proc", "proc", "")
	if err != nil {
		return err
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	name, err := os.ReadFile(filepath.Join(dir, t.pid, "comm"))
	if err == nil && !strings.Contains(string(name), "e2e") {
		return fmt.Errorf("process %s is another: %s", t.pid, bytes.TrimSpace(name))
	}
	return err
}

// corePattern opens what the host's kernel runs as the host's root, and writes nothing.
func corePattern(target) error {
	if dir, err := mounted("proc", "proc", ""); err == nil {
		defer syscall.Unmount(dir, syscall.MNT_DETACH)
		if err := opens(filepath.Join(dir, "sys/kernel/core_pattern")); err == nil {
			return nil
		}
	}
	return anywhere(func(root string) error { return opens(root + "/proc/sys/kernel/core_pattern") })
}

func opens(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		file.Close()
	}
	return err
}

// disk makes a node of the host's disk and reads from it.
func disk(t target) error {
	path := filepath.Join(os.TempDir(), "escape-disk")
	defer os.Remove(path)
	if err := syscall.Mknod(path, syscall.S_IFBLK|0o600, t.device); err != nil {
		return err
	}
	device, err := os.Open(path)
	if err != nil {
		return err
	}
	defer device.Close()
	_, err = device.Read(make([]byte, 512))
	return err
}

// releaseAgent mounts a hierarchy of control groups and opens the file that
// names what the host's kernel runs when one is empty.
func releaseAgent(target) error {
	err := errors.New("no hierarchy was tried")
	for _, controller := range []string{"rdma", "memory", "cpu", "net_cls", "none,name=escape"} {
		var dir string
		if dir, err = mounted("cgroup", "cgroup", controller); err != nil {
			continue
		}
		err = opens(filepath.Join(dir, "release_agent"))
		_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		if err == nil {
			return nil
		}
	}
	return err
}

// firstProcess enters every namespace of the first process that it sees, and
// looks for the host's file there.
func firstProcess(t target) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is somewhere else
		done <- func() error {
			if err := syscall.Unshare(syscall.CLONE_FS); err != nil {
				return err
			}
			for _, kind := range []string{"net", "mnt"} {
				namespace, err := os.Open("/proc/1/ns/" + kind)
				if err != nil {
					return err
				}
				_, _, errno := syscall.Syscall(setns(), namespace.Fd(), 0, 0)
				namespace.Close()
				if errno != 0 {
					return fmt.Errorf("entering the %s namespace: %w", kind, errno)
				}
			}
			if _, err := os.ReadFile(t.file); err != nil {
				return err
			}
			return nil
		}()
	}()
	return <-done
}

// setns is the number of the system call, which the standard library lacks.
func setns() uintptr {
	return map[string]uintptr{"amd64": 308, "arm64": 268}[runtime.GOARCH]
}

// mounted mounts a file system at a new directory.
func mounted(source, kind, options string) (string, error) {
	dir, err := os.MkdirTemp("", "escape")
	if err != nil {
		return "", err
	}
	return dir, syscall.Mount(source, dir, kind, 0, options)
}
