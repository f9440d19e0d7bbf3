//go:build e2e

package netfilter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// askRoom has such a program say how much room its socket has instead.
const askRoom = "room"

// doorVariable makes the test program a front of nft, which borrows from that path.
const doorVariable = "BERTH_TEST_DOOR"

func TestMain(m *testing.M) {
	door := os.Getenv(doorVariable)
	if door == "" {
		os.Exit(m.Run())
	}
	runtime.LockOSThread()
	err := borrow(door)
	if err == nil && os.Args[1] == askRoom {
		err = sayRoom()
	} else if err == nil {
		err = unix.Exec(fronted, append([]string{Program}, os.Args[1:]...), nil)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// sayRoom tells the room of a netfilter socket whose buffer was made small, as newer
// versions of nft do with one that they find too small.
func sayRoom() error {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)
	if err == nil {
		err = unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<16)
	}
	if err != nil {
		return err
	}
	room, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err == nil {
		fmt.Print(room)
		os.Exit(0)
	}
	return err
}

// lendHere lends sockets of a new network namespace, which the test stays in.
func lendHere(t *testing.T) (door string) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	launcher, boot := pair(t)
	raised := make(chan error, 1)
	go func() { raised <- Raise(launcher) }()
	sockets, err := Open(boot)
	if err = errors.Join(err, <-raised); err != nil || len(sockets) != lendable {
		t.Fatalf("%d sockets: %v", len(sockets), err)
	}
	dir, err := os.MkdirTemp("", "") // short enough for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	door = filepath.Join(dir, "door")
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, door, sockets) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := closeAll(sockets); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	for {
		if _, err := os.Stat(door); err == nil {
			return door
		}
		runtime.Gosched()
	}
}

// pair is what the launcher connects itself and boot with.
func pair(t *testing.T) (launcher, boot *os.File) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(ends[0]), "launcher"), os.NewFile(uintptr(ends[1]), "boot")
}

// nft prepares the front with some input, in the caller's network namespace.
func nft(ctx context.Context, door, input string) *exec.Cmd {
	program := exec.CommandContext(ctx, "/proc/self/exe", "-f", "-")
	program.Env = []string{doorVariable + "=" + door}
	program.Stdin = strings.NewReader(input)
	return program
}

func TestABorrowedSocketHasRoomAndKeepsIt(t *testing.T) {
	door := lendHere(t)
	for range lendable + 1 { // and it is given back
		program := exec.CommandContext(t.Context(), "/proc/self/exe", askRoom)
		program.Env = []string{doorVariable + "=" + door}
		said, err := program.Output()
		if err != nil || string(said) != strconv.Itoa(Room) {
			t.Errorf("the room is %q, %v; want %d", said, err, Room)
		}
	}
}

// disturb sends signals to this process until the test ends, as a first process
// gets one for each that ends in its machine.
func disturb(t *testing.T) {
	t.Helper()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGUSR1)
	var sender sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	sender.Go(func() {
		for ctx.Err() == nil {
			_ = unix.Kill(os.Getpid(), unix.SIGUSR1)
		}
	})
	t.Cleanup(func() {
		stop()
		sender.Wait()
		signal.Stop(signals)
	})
}

func TestManyTransactionsAtOnceShareTheSocketsUnderSignals(t *testing.T) {
	const programs = 5 * lendable
	door := lendHere(t)
	disturb(t)
	var all errgroup.Group
	for i := range programs {
		var said bytes.Buffer
		input := fmt.Sprintf("add table ip t%d\n", i)
		for c := range 100 {
			input += fmt.Sprintf("add chain ip t%d c%d\nadd rule ip t%d c%d drop\n", i, c, i, c)
		}
		program := nft(t.Context(), door, input)
		program.Stdout, program.Stderr = &said, &said
		if err := program.Start(); err != nil { // on this thread, whose namespace it is
			t.Fatal(err)
		}
		all.Go(func() error {
			if err := program.Wait(); err != nil || said.Len() > 0 {
				return fmt.Errorf("table %d: %w: %s", i, err, said.String())
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	listed, err := exec.Command(fronted, "list", "tables").Output()
	if err != nil || strings.Count(string(listed), "table ip") != programs {
		t.Errorf("the tables are %s, %v", listed, err)
	}
}
