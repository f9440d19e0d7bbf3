package release

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"berth.dev/berth/internal/release"
)

// execute runs `berth release` on an empty cache.
func execute(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	t.Setenv("BERTH_CACHE", t.TempDir())
	command := NewCommand()
	var output bytes.Buffer
	command.SetOut(&output)
	command.SetErr(&output)
	command.SilenceErrors, command.SilenceUsage = true, true
	command.SetArgs(arguments)
	err := command.ExecuteContext(t.Context())
	return output.String(), err
}

func TestTheListShowsEveryVersionAndWhetherItIsBuilt(t *testing.T) {
	text, err := execute(t, "list")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != len(release.Versions())+1 {
		t.Fatalf("the list is\n%s", text)
	}
	for _, version := range release.Versions() {
		if !strings.Contains(text, version.Version) {
			t.Errorf("the list lacks %s", version.Version)
		}
	}
	if !strings.Contains(lines[1], "parts to build") {
		t.Errorf("an empty cache shows as %q", lines[1])
	}
}

func TestTheListIsAlsoThereAsJSON(t *testing.T) {
	text, err := execute(t, "list", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var listed []struct {
		Version string   `json:"version"`
		Default bool     `json:"default"`
		Built   bool     `json:"built"`
		Missing []string `json:"missing"`
	}
	if err := json.Unmarshal([]byte(text), &listed); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if len(listed) != len(release.Versions()) {
		t.Fatalf("listed %+v", listed)
	}
	for i, version := range release.Versions() {
		if got := listed[i]; got.Version != version.Version || got.Default != version.Default || got.Built || len(got.Missing) == 0 {
			t.Errorf("listed %+v for %+v", got, version)
		}
	}
}

func TestBadArgumentsAreRefusedBeforeAnythingIsBuilt(t *testing.T) {
	for _, arguments := range [][]string{{"build", "9.9"}, {"build", "1.35", "1.36"}, {"list", "-o", "xml"}, {"verify", "9.9"}} {
		if _, err := execute(t, arguments...); err == nil {
			t.Errorf("%q was accepted", arguments)
		}
	}
}

func TestALineSaysWhatIsBuiltHowFarAndHowLong(t *testing.T) {
	got := line(release.Progress{Step: "etcd v3.6.8", StepIndex: 2, Steps: 5, Done: 10, Total: 40, Detail: "compiling", Elapsed: 61.4})
	if want := "[2/5] etcd v3.6.8  10 of 40 packages, compiling  1m1s"; got != want {
		t.Errorf("the line is %q, want %q", got, want)
	}
	if waiting := line(release.Progress{Step: "etcd v3.6.8", StepIndex: 1, Steps: 1, Waiting: true}); !strings.Contains(waiting, "another process builds it") {
		t.Errorf("the line is %q", waiting)
	}
}

func TestWithoutATerminalOnlyNewsIsPrinted(t *testing.T) {
	var output bytes.Buffer
	shown := newDisplay(&output)
	for done := range 101 {
		shown.show(release.Progress{Step: "etcd", StepIndex: 1, Steps: 1, Done: done, Total: 100})
	}
	shown.end()
	if lines := strings.Count(output.String(), "\n"); lines != 5 {
		t.Errorf("printed %d lines, want the start and each quarter:\n%s", lines, output.String())
	}
}
