package app

import (
	"os"
	"testing"

	"berth.dev/berth/internal/home"
)

func TestTheLogOfARunningServiceIsSetAsideWhileItIsOpen(t *testing.T) {
	h := home.Home{Dir: t.TempDir()}
	if err := os.MkdirAll(h.LogDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(h.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := log.Truncate(maxLog); err != nil { // sparse: it costs no disk
		t.Fatal(err)
	}
	if err := rotateLog(h); err != nil {
		t.Fatal(err)
	}
	if _, err := log.WriteString("after\n"); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(h.LogFile()); err != nil || string(content) != "after\n" {
		t.Errorf("the log holds %d bytes, %v, want only what was written after", len(content), err)
	}
	if old, err := os.Stat(h.LogFile() + ".1"); err != nil || old.Size() != maxLog {
		t.Errorf("the log set aside: %v, %v", old, err)
	}
}
