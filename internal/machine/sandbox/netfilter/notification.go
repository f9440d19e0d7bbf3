package netfilter

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call is a system call that waits for an answer (struct seccomp_notif of
// linux/seccomp.h).
type call struct {
	id           uint64
	pid          uint32
	flags        uint32
	number       int32
	architecture uint32
	pointer      uint64
	arguments    [6]uint64
}

// answer ends a call with a value (struct seccomp_notif_resp).
type answer struct {
	id    uint64
	value int64
	err   int32
	flags uint32
}

// injection puts a file into the caller's table (struct seccomp_notif_addfd).
type injection struct {
	id        uint64
	flags     uint32
	source    uint32
	target    uint32
	fileFlags uint32
}

// The offsets of struct seccomp_data; of an argument, that of its lower half: both
// architectures keep that first.
const (
	numberOffset       = 0
	architectureOffset = 4
	argumentsOffset    = 16
)

// architecture is what the kernel calls this program's.
func architecture() (uint32, error) {
	switch runtime.GOARCH {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64, nil
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64, nil
	}
	return 0, fmt.Errorf("system calls of %s are not known", runtime.GOARCH)
}

// intercept has the calling thread, and the program that it becomes, wait for an
// answer whenever it opens a netfilter socket; SO_SNDBUF does nothing, because newer
// versions of nft would make a buffer smaller by it. It returns where the calls are
// read. The caller has locked its thread.
func intercept() (int, error) {
	arch, err := architecture()
	if err != nil {
		return -1, err
	}
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	equal := func(value uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jt: yes, Jf: no}
	}
	end := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	filter := []unix.SockFilter{
		load(architectureOffset),
		equal(arch, 0, 11),
		load(numberOffset),
		equal(unix.SYS_SETSOCKOPT, 5, 0),
		equal(unix.SYS_SOCKET, 0, 8),
		load(argumentsOffset), // socket: its family,
		equal(unix.AF_NETLINK, 0, 6),
		load(argumentsOffset + 2*8), // and its protocol
		equal(unix.NETLINK_NETFILTER, 5, 4),
		load(argumentsOffset + 1*8), // setsockopt: the level,
		equal(unix.SOL_SOCKET, 0, 2),
		load(argumentsOffset + 2*8), // and the option
		equal(unix.SO_SNDBUF, 2, 0),
		end(unix.SECCOMP_RET_ALLOW),
		end(unix.SECCOMP_RET_USER_NOTIF),
		end(unix.SECCOMP_RET_ERRNO), // with 0: done
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, fmt.Errorf("giving up new privileges: %w", err)
	}
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return -1, fmt.Errorf("intercepting system calls: %w", errno)
	}
	return int(listener), nil
}

// listener is where intercepted calls are read.
type listener struct {
	file *os.File
	fd   int
}

// newListener takes over what intercept returned, in whichever process.
func newListener(fd int) (listener, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return listener{}, errors.Join(err, unix.Close(fd))
	}
	return listener{file: os.NewFile(uintptr(fd), "listener"), fd: fd}, nil
}

// errEnded says that no process is left whose calls could come.
var errEnded = errors.New("the program has ended")

// next waits for a call; errEnded if none can come any more.
func (l listener) next() (call, error) {
	conn, err := l.file.SyscallConn()
	if err != nil {
		return call{}, err
	}
	var got call
	var failed error
	err = conn.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for { // reading blocks where nothing waits, so it is asked first
			n, err := unix.Poll(poll, 0)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case err != nil:
				failed = err
				return true
			case n == 0:
				return false
			case poll[0].Revents&unix.POLLIN == 0:
				failed = errEnded
				return true
			}
			got = call{}
			_, failed = control(int(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&got))
			if !errors.Is(failed, unix.ENOENT) && !errors.Is(failed, unix.EINTR) { // ENOENT: it was killed meanwhile
				return true
			}
		}
	})
	return got, errors.Join(err, failed)
}

// inject ends a call with a file's number in the caller's table. It takes two steps
// on purpose: of SECCOMP_ADDFD_FLAG_SEND, which does both, a signal at the wrong
// moment leaves the answer without the file, and the caller takes 0 for it.
func (l listener) inject(to call, file int, flags uint32) error {
	what := injection{id: to.id, source: uint32(file), fileFlags: flags}
	number, err := control(l.fd, unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&what))
	if err == nil {
		result := answer{id: to.id, value: int64(number)}
		_, err = control(l.fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&result))
	}
	if errors.Is(err, unix.ENOENT) { // the caller was killed meanwhile
		return nil
	}
	return err
}

func control(fd int, request uintptr, what unsafe.Pointer) (uint64, error) {
	value, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(what))
	if errno != 0 {
		return 0, errno
	}
	return uint64(value), nil
}
