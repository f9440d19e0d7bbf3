package app

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"berth.dev/berth/internal/home"
)

// parse completes options from a command line.
func parse(t *testing.T, arguments ...string) (Options, error) {
	t.Helper()
	var o Options
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.BindFlags(flags)
	if err := flags.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	return o, o.Complete(flags)
}

func newHome(t *testing.T) home.Home {
	t.Helper()
	h, err := home.Create(filepath.Join(t.TempDir(), "home"), func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestAnOptionComesFromFlagThenEnvironmentThenHomeThenDefault(t *testing.T) {
	h := newHome(t)
	o, err := parse(t, "--home", h.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if o.CPUOvercommit != defaultCPUOvercommit || o.DNSZone != defaultDNSZone {
		t.Errorf("defaults are %+v", o)
	}
	o.CPUOvercommit, o.MemoryOvercommit, o.Listen = 3, 4, "127.0.0.1:9999"
	if err := o.store(h); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BERTH_MEMORY_OVERCOMMIT", "5")
	t.Setenv("BERTH_LISTEN", "127.0.0.1:8888")
	got, err := parse(t, "--home", h.Dir, "--listen", "127.0.0.1:7777")
	if err != nil {
		t.Fatal(err)
	}
	if got.Listen != "127.0.0.1:7777" || got.MemoryOvercommit != 5 || got.CPUOvercommit != 3 {
		t.Errorf("got %+v", got)
	}
}

func TestEveryFlagHasAVariableAndEveryVariableAFlag(t *testing.T) {
	var o Options
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.BindFlags(flags)
	flags.VisitAll(func(flag *pflag.Flag) {
		if environment()[flag.Name] == "" {
			t.Errorf("--%s has no variable", flag.Name)
		}
	})
	for name := range environment() {
		if flags.Lookup(name) == nil {
			t.Errorf("%s stands for no flag", environment()[name])
		}
	}
}

func TestWhatClustersCarryCannotChange(t *testing.T) {
	h := newHome(t)
	o, err := parse(t, "--home", h.Dir, "--location", "here")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.store(h); err != nil {
		t.Fatal(err)
	}
	if _, err := parse(t, "--home", h.Dir, "--location", "there"); err == nil || !strings.Contains(err.Error(), "here") {
		t.Errorf("moving to another location: %v", err)
	}
	if again, err := parse(t, "--home", h.Dir); err != nil || again.Location != "here" {
		t.Errorf("without the flag: %+v, %v", again, err)
	}
}

func TestEveryWrongOptionIsNamedAtOnce(t *testing.T) {
	_, err := parse(t, "--home", t.TempDir(), "--location", "UPPER", "--dns-zone", "no_zone", "--listen", "nowhere", "--public-url", "http://x",
		"--public-range", "198.18.0.1/20", "--cpu-overcommit", "0", "--metrics-listen", "0.0.0.0:1", "--log-format", "xml", "--throttle", "some", "--role", "none")
	if err == nil {
		t.Fatal("accepted")
	}
	for _, flag := range []string{"location", "dns-zone", "listen", "public-url", "public-range", "cpu-overcommit", "metrics-listen", "log-format", "throttle", "role"} {
		if !strings.Contains(err.Error(), "--"+flag) {
			t.Errorf("--%s is not named in: %v", flag, err)
		}
	}
}

func TestTheBackgroundProcessGetsTheSameOptions(t *testing.T) {
	o, err := parse(t, "--home", t.TempDir(), "--allow-no-agent-pools", "--public-range", "198.18.64.0/20", "--cpu-overcommit", "2")
	if err != nil {
		t.Fatal(err)
	}
	again, err := parse(t, o.arguments()...)
	if err != nil {
		t.Fatal(err)
	}
	if again != o {
		t.Errorf("got %+v, want %+v", again, o)
	}
	if slices.ContainsFunc(o.arguments(), func(a string) bool { return strings.Contains(a, "secret") }) {
		t.Error("a secret is an argument")
	}
}
