package release

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/thread"
)

// priority makes builds give way to everything else on the machine. All of it
// is done as far as the host allows: a build without it is only less polite.
type priority struct {
	// group is the directory of a control group with a fraction of the usual CPU weight, or empty.
	group string
	// unified is true if the group is in a hierarchy of version 2.
	unified bool
}

const (
	groupName   = "berth-build"
	lowestNice  = 19
	ioClassIdle = 3 << 13 // IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)
	ioWhoThread = 1       // IOPRIO_WHO_PROCESS: with 0, the calling thread
)

// newPriority makes the control group below root, which is /sys/fs/cgroup. Its
// weight is a fifth of a service's in version 2. In version 1 it competes with
// every single process outside of a group, so half of one process's weight is low
// enough; less, and a busy machine would never finish a build.
func newPriority(root string) priority {
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		group := filepath.Join(root, groupName)
		if !makeGroup(group, "cpu.weight", "20") {
			return priority{}
		}
		return priority{group: group, unified: true}
	}
	group := filepath.Join(root, "cpu", groupName)
	if !makeGroup(group, "cpu.shares", "512") {
		return priority{}
	}
	return priority{group: group}
}

// makeGroup makes the group and sets its weight. Where the host does not hand
// out CPU weights the file does not exist and the group is of no use.
func makeGroup(group, file, weight string) bool {
	if _, err := os.Stat(filepath.Dir(group)); err != nil {
		return false
	}
	if err := os.Mkdir(group, 0o755); err != nil && !os.IsExist(err) {
		return false
	}
	if err := os.WriteFile(filepath.Join(group, file), []byte(weight), 0); err != nil {
		_ = os.Remove(group)
		return false
	}
	return true
}

// start starts the command from a thread of low priority, because a child takes
// over the priority and, in version 1, the group of the thread that starts it. In
// version 2 a thread cannot be moved alone, so the command is, before it has children.
func (p priority) start(command *exec.Cmd) error {
	return thread.OnMortal(func() error {
		id := unix.Gettid()
		_ = unix.Setpriority(unix.PRIO_PROCESS, id, lowestNice)
		_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ioWhoThread, 0, ioClassIdle)
		if p.group != "" && !p.unified {
			_ = os.WriteFile(filepath.Join(p.group, "tasks"), []byte(strconv.Itoa(id)), 0)
		}
		err := command.Start()
		if err == nil && p.unified {
			_ = os.WriteFile(filepath.Join(p.group, "cgroup.procs"), []byte(strconv.Itoa(command.Process.Pid)), 0)
		}
		return err
	})
}

// closeAttempts times closeInterval is how long close waits for processes
// that were killed and have not quite ended.
const (
	closeAttempts = 50
	closeInterval = 20 * time.Millisecond
)

// close removes the group unless another build is in it. The kernel lets no
// one wait for that, so it tries for a second.
func (p priority) close() {
	if p.group == "" {
		return
	}
	for range closeAttempts {
		if err := os.Remove(p.group); !errors.Is(err, unix.EBUSY) {
			return
		}
		time.Sleep(closeInterval)
	}
}
