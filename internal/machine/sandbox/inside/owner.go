package inside

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// asOwner calls start on a thread whose effective user is uid, with all
// capabilities of root. A user namespace made by such a thread belongs to uid:
// what the kernel counts per user (inotify instances and watches above all,
// 128 on many hosts) is then charged to each machine apart instead of to
// root, where a handful of machines would use up everyone's.
func asOwner(uid int, start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const keep = ^uintptr(0)
	// Not unix.Setresuid, which changes every thread of the process.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep); errno != 0 {
		return fmt.Errorf("taking on user %d: %w", uid, errno)
	}
	startErr := raiseCapabilities()
	if startErr == nil {
		startErr = start()
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, 0, keep); errno != 0 {
		return fmt.Errorf("returning to root: %w", errno)
	}
	return startErr
}

// raiseCapabilities makes this thread's permitted capabilities effective: the
// kernel drops the effective ones when the effective user stops being root.
func raiseCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("reading capabilities: %w", err)
	}
	for i := range data {
		data[i].Effective = data[i].Permitted
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("raising capabilities: %w", err)
	}
	return nil
}
