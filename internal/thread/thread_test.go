package thread_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/thread"
)

func TestWhatCannotBeTakenBackIsNeverDoneByTheMainThread(t *testing.T) {
	want := errors.New("done")
	for range 500 {
		main := false
		if err := thread.OnMortal(func() error {
			main = unix.Gettid() == unix.Getpid()
			return want
		}); !errors.Is(err, want) {
			t.Fatalf("OnMortal() = %v, want %v", err, want)
		}
		if main {
			t.Fatal("the main thread was changed")
		}
	}
}

func TestAThreadThatWasChangedIsNotGivenToOthers(t *testing.T) {
	changed := 0
	if err := thread.OnMortal(func() error {
		changed = unix.Gettid()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// The kernel gives a number out again only after all others.
	for range 100 {
		got := make(chan int)
		go func() { got <- unix.Gettid() }()
		if id := <-got; id == changed {
			t.Fatalf("a goroutine ran on thread %d", id)
		}
	}
}

func TestANamespaceThatIsNotThereIsAnError(t *testing.T) {
	ran := false
	err := thread.InNetwork(filepath.Join(t.TempDir(), "none"), func() error {
		ran = true
		return nil
	})
	if !errors.Is(err, fs.ErrNotExist) || ran {
		t.Errorf("InNetwork() = %v, ran %t", err, ran)
	}
	if err := thread.InNetwork(os.DevNull, func() error { return nil }); err == nil {
		t.Error("a file that is no namespace was entered")
	}
}
