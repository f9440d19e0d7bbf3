package app

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOptionsThatARunningServiceWasNotStartedWithAreRefusedByName(t *testing.T) {
	h := newHome(t)
	o, err := parse(t, "--home", h.Dir, "--cpu-overcommit", "4", "--listen", "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.store(h); err != nil {
		t.Fatal(err)
	}
	same, err := parse(t, "--home", h.Dir, "--cpu-overcommit", "4", "--log-format", "json")
	if err != nil {
		t.Fatal(err)
	}
	other, err := parse(t, "--home", h.Dir, "--cpu-overcommit", "5", "--dns-resolvable")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.unchanged(); err != nil {
		t.Errorf("while nothing runs: %v", err)
	}
	if _, err := newRecord(h, newLogger("text", io.Discard)); err != nil { // this test is the daemon now
		t.Fatal(err)
	}
	if err := same.unchanged(); err != nil {
		t.Errorf("the same options: %v", err)
	}
	_, err = Start(t.Context(), other, func(string) {})
	if !errors.Is(err, ErrRunning) || !strings.HasSuffix(err.Error(), "berth restart --cpu-overcommit=5 --dns-resolvable=true") {
		t.Errorf("got %v", err)
	}
}

func TestARestartThatTheHostWouldRefuseLeavesTheServiceAlone(t *testing.T) {
	h := newHome(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o, err := parse(t, "--home", h.Dir, "--cache-dir", t.TempDir(), "--listen", taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newRecord(h, newLogger("text", io.Discard)); err != nil { // it would end this test
		t.Fatal(err)
	}
	_, err = Restart(t.Context(), o, func(message string) { t.Errorf("it went on with %q", message) })
	if !errors.Is(err, ErrPreflight) || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("got %v", err)
	}
}

func TestTheLastWordsOfADaemonAreTheWholeError(t *testing.T) {
	for content, want := range map[string]string{
		"{\"msg\":\"a\"}\nERROR: old\n{\"msg\":\"b\"}\nERROR: this host cannot run Berth:\nerror port  taken\n  mend it\n": "this host cannot run Berth:\nerror port  taken\n  mend it (berth.log)",
		"ERROR: one line\n": "one line (berth.log)",
		"first\nlast\n":     "last (berth.log)",
	} {
		path := filepath.Join(t.TempDir(), "berth.log")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := lastWords(path); got != want {
			t.Errorf("lastWords() = %q, want %q", got, want)
		}
	}
}
