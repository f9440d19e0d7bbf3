//go:build e2e

package linux

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

func TestAPortIsNeverAttachedToTheHost(t *testing.T) {
	s := newSite(t)
	host := machine(t)
	fabric := New(Options{Instance: s.name, HostNamespace: host})
	if err := fabric.AttachPort(t.Context(), s.network.ID, s.network.Ports[0], host); !errors.Is(err, network.ErrNotFound) {
		t.Errorf("AttachPort() to the host = %v, want ErrNotFound", err)
	}
	if link, err := at(t, host).link(machineLink); link != nil || err != nil {
		t.Errorf("the host has %v, %v", link, err)
	}
	s.whole(t)
	// The same namespace takes the port where something else is the host.
	if err := s.fabric.AttachPort(t.Context(), s.network.ID, s.network.Ports[0], host); err != nil {
		t.Errorf("AttachPort() to a machine = %v", err)
	}
}

// maxThreads bounds the search for the main thread.
const maxThreads = 256

// onMainThread runs do there while the caller waits; false if something else keeps
// the main thread.
func onMainThread(t *testing.T, do func()) bool {
	t.Helper()
	release, answers := make(chan struct{}), make(chan bool)
	defer close(release) // the threads that were not it go back to the pool
	for range maxThreads {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			isMain := unix.Gettid() == unix.Getpid()
			if isMain {
				do()
			}
			answers <- isMain
			if !isMain {
				<-release
			}
		}()
		if <-answers {
			return true
		}
	}
	return false
}

func TestTheHostIsFoundWhileTheMainThreadIsElsewhere(t *testing.T) {
	want, err := os.Stat(threadNamespace)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := os.Open(machine(t))
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	var got os.FileInfo
	found := onMainThread(t, func() {
		// Another goroutine of the daemon asks for the host meanwhile.
		err = movedTo(elsewhere, func() error {
			answer := make(chan error)
			go func() {
				host, err := openHost()
				if err == nil {
					got, err = host.file.Stat()
					host.close()
				}
				answer <- err
			}()
			return <-answer
		})
	})
	if !found {
		t.Skip("the main thread is kept by the runtime")
	}
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(want, got) {
		t.Errorf("the host's namespace is %v, want %v", got.Sys(), want.Sys())
	}
}

// movedTo runs do on the calling, locked thread in a namespace, and brings it back.
func movedTo(namespace *os.File, do func() error) error {
	home, err := os.Open(threadNamespace)
	if err != nil {
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	return errors.Join(do(), unix.Setns(int(home.Fd()), unix.CLONE_NEWNET))
}
