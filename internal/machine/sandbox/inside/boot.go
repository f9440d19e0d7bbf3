package inside

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine/sandbox/netfilter"
	"berth.dev/berth/internal/supervise"
)

// The files that the launcher hands to boot.
const (
	recordFD = 3
	reportFD = 4
	// socketsFD is where the launcher raises the machine's netfilter sockets.
	socketsFD = 5
)

// boot is the machine's first process. It ends with the supervisor, and the
// kernel then ends everything else in the machine.
func boot(ctx context.Context) error {
	input, report := os.NewFile(recordFD, "record"), os.NewFile(reportFD, "report")
	unix.CloseOnExec(recordFD)
	unix.CloseOnExec(reportFD)
	unix.CloseOnExec(socketsFD)
	sockets, err := netfilter.Open(os.NewFile(socketsFD, "sockets"))
	if err == nil {
		err = setUp(input)
	}
	if err != nil {
		_, reportErr := fmt.Fprintln(report, err)
		return errors.Join(err, reportErr)
	}
	if _, err := fmt.Fprintln(report, "ok"); err != nil {
		return fmt.Errorf("reporting to the launcher: %w", err)
	}
	if err := report.Close(); err != nil {
		return err
	}
	if len(sockets) == 0 {
		return supervise.Run(ctx, SuperviseDir)
	}
	lending, stop := context.WithCancel(ctx)
	lent := make(chan error, 1)
	go func() {
		err := netfilter.Serve(lending, netfilter.SocketFile, sockets)
		if err != nil {
			fmt.Fprintln(os.Stderr, err) // now: the machine goes on without
		}
		lent <- err
	}()
	err = supervise.Run(ctx, SuperviseDir)
	stop()
	return errors.Join(err, <-lent)
}

// setUp makes the machine out of the namespaces that it starts in.
func setUp(input *os.File) error {
	data, err := io.ReadAll(input)
	if err != nil {
		return fmt.Errorf("reading the record: %w", err)
	}
	if err := input.Close(); err != nil {
		return err
	}
	var record Record
	if err := json.Unmarshal(data, &record); err != nil {
		return fmt.Errorf("decoding the record: %w", err)
	}
	unix.Umask(0o022)
	steps := []struct {
		doing string
		do    func() error
	}{
		{"moving into the root", func() error { return enterRoot(record) }},
		{"mounting cgroups", mountCgroups},
		{"reporting the machine's size", func() error { return reportSize(record.Desired.Size) }},
		{"sharing mounts", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "") }},
		{"naming the machine", func() error { return unix.Sethostname([]byte(record.Desired.NodeName)) }},
		{"setting up the network namespace", func() error { return setUpNetwork(record.Desired.Sysctls) }},
		{"raising the file limit", raiseFileLimit},
		{"writing files", func() error { return writeFiles(record) }},
		{"opening the console", openConsole},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.doing, err)
		}
	}
	return nil
}

// openConsole sends the output of this process to the machine's disk: what it
// inherited is a file of the host.
func openConsole() error {
	if err := os.MkdirAll(filepath.Dir(ConsoleFile), 0o755); err != nil {
		return err
	}
	console, err := os.OpenFile(ConsoleFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	defer console.Close()
	for _, fd := range []int{1, 2} {
		if err := unix.Dup3(int(console.Fd()), fd, 0); err != nil {
			return err
		}
	}
	return nil
}
