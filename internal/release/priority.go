package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// priority makes builds give way to everything else on the machine. All of it
// is done as far as the host allows: a build without it is only less polite.
type priority struct {
	// group is the directory of a control group with a tenth of the usual CPU weight, or empty.
	group string
	// unified is the opened group in a hierarchy of version 2, else nil.
	unified *os.File
}

const (
	groupName   = "berth-build"
	lowestNice  = 19
	ioClassIdle = 3 << 13 // IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)
	ioWhoThread = 1       // IOPRIO_WHO_PROCESS: with 0, the calling thread
)

// newPriority makes the control group below root, which is /sys/fs/cgroup.
func newPriority(root string) priority {
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		group := filepath.Join(root, groupName)
		if !makeGroup(group, "cpu.weight", "10") {
			return priority{}
		}
		file, err := os.Open(group)
		if err != nil {
			return priority{}
		}
		return priority{group: group, unified: file}
	}
	group := filepath.Join(root, "cpu", groupName)
	if !makeGroup(group, "cpu.shares", "102") {
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

// lower lowers the calling thread, which must be locked and about to start the
// command: a child takes over the priority and, in version 1, the group of the
// thread that starts it.
func (p priority) lower(command *exec.Cmd) {
	thread := unix.Gettid()
	_ = unix.Setpriority(unix.PRIO_PROCESS, thread, lowestNice)
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ioWhoThread, 0, ioClassIdle)
	switch {
	case p.unified != nil:
		command.SysProcAttr.UseCgroupFD = true
		command.SysProcAttr.CgroupFD = int(p.unified.Fd())
	case p.group != "":
		_ = os.WriteFile(filepath.Join(p.group, "tasks"), []byte(strconv.Itoa(thread)), 0)
	}
}

// close removes the group unless another build is in it.
func (p priority) close() {
	if p.unified != nil {
		_ = p.unified.Close()
	}
	if p.group != "" {
		_ = os.Remove(p.group)
	}
}
