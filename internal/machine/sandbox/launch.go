package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/machine/sandbox/inside"
)

// errLocked says that someone else, most often a launcher, holds the machine's lock.
var errLocked = errors.New("locked")

// tryLock takes the machine's lock; closing the file releases it.
func tryLock(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return lock, nil
	}
	lock.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errLocked
	}
	return nil, fmt.Errorf("locking the machine: %w", err)
}

// launch runs the launcher to its end. If the caller dies, the launcher goes
// on and keeps the lock: it is part of the same open file.
func (p *Provider) launch(dir string, lock *os.File) error {
	staging := filepath.Join(dir, inside.StagingDir)
	if err := os.Mkdir(staging, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	output, err := os.Create(filepath.Join(dir, "launch.log"))
	if err != nil {
		return err
	}
	defer output.Close()
	launcher := exec.Command(p.options.Supervisor, "machine", "launch", dir)
	launcher.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	launcher.Dir = "/"
	launcher.Stdout, launcher.Stderr = output, output
	launcher.ExtraFiles = []*os.File{lock} // inside.LockFD
	launcher.SysProcAttr = &syscall.SysProcAttr{
		Setsid:       true,
		Unshareflags: unix.CLONE_NEWNS, // and the mounts are made private
	}
	runErr := launcher.Run()
	if runErr == nil {
		return nil
	}
	said, err := os.ReadFile(output.Name())
	if said = bytes.TrimSpace(said); err != nil || len(said) == 0 {
		return errors.Join(runErr, err)
	}
	return fmt.Errorf("launching: %s", said)
}

// killWait bounds how long one call waits for killed processes to be gone.
const killWait = 2 * time.Second

// kill ends every process of the machine; ErrInProgress while some are left.
func (p *Provider) kill(ctx context.Context, id string) error {
	bounded, cancel := context.WithTimeout(ctx, killWait)
	defer cancel()
	// The first process goes first: with it the kernel ends all the others at once.
	first, err := p.firstProcess(id)
	if err != nil {
		return err
	}
	if first != 0 {
		if err := unix.Kill(first, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("killing the first process of machine %s: %w", id, err)
		}
	}
	err = p.options.Cgroups.Kill(bounded, p.group(id))
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("ending the processes of machine %s: %w", id, machine.ErrInProgress)
	}
	return err
}
