package inside

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/supervise"
)

// writeFiles writes the machine's files and the supervisor's spec. Files that
// the machine's components wrote themselves are left alone.
func writeFiles(record Record) error {
	files := identityFiles(record.Desired)
	for path, file := range record.Desired.Files {
		files[path] = file
	}
	for path, file := range files {
		if err := writeFile(path, file); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	spec, err := json.Marshal(record.Desired.Spec())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(SuperviseDir, 0o700); err != nil {
		return err
	}
	// What the supervisor of the former start saw is no longer so.
	if err := os.Remove(filepath.Join(SuperviseDir, supervise.StatusFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeFile(filepath.Join(SuperviseDir, supervise.SpecFile), machine.File{Mode: 0o600, Content: spec})
}

// writeFile replaces a file: never what a link points to, and never so that a
// secret is readable for a moment.
func writeFile(path string, file machine.File) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(path, file.Content, file.Mode.Perm()&0o600); err != nil {
		return err
	}
	return os.Chmod(path, file.Mode.Perm())
}

// identityFiles are the files that tell one machine from another.
func identityFiles(desired machine.Desired) map[string]machine.File {
	id := sha256.Sum256([]byte("berth machine " + desired.ID))
	hosts := "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 " + desired.NodeName + "\n"
	return map[string]machine.File{
		"/etc/hostname":    {Mode: 0o644, Content: []byte(desired.NodeName + "\n")},
		"/etc/hosts":       {Mode: 0o644, Content: []byte(hosts)},
		"/etc/machine-id":  {Mode: 0o444, Content: []byte(hex.EncodeToString(id[:16]) + "\n")},
		"/etc/resolv.conf": {Mode: 0o644},
	}
}

// setUpNetwork brings loopback up and lets the machine forward: it is a router
// to its pods. The settings are of the machine's own network namespace.
func setUpNetwork(settings map[string]string) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(socket, unix.SIOCGIFFLAGS, loopback); err != nil {
		return fmt.Errorf("reading the state of loopback: %w", err)
	}
	loopback.SetUint16(loopback.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, loopback); err != nil {
		return fmt.Errorf("bringing loopback up: %w", err)
	}
	for name, value := range settings {
		if err := os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0o644); err != nil {
			return fmt.Errorf("setting %s to %s: %w", name, value, err)
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}

// raiseFileLimit gives components as many open files as the host allows.
func raiseFileLimit() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}
