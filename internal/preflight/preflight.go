// Package preflight looks at a host before anything is made on it: what Berth
// cannot do without, what it will do worse, and the one line that mends each.
// It only looks: nothing on the host is changed, ever.
package preflight

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// Level says how much a finding matters.
type Level string

// The levels.
const (
	// LevelOK is a requirement that is met.
	LevelOK Level = "ok"
	// LevelWarning is something that works worse than it could.
	LevelWarning Level = "warning"
	// LevelError is something that Berth cannot start without.
	LevelError Level = "error"
)

// Finding is what one check found.
type Finding struct {
	// Name is the check, e.g. "cgroups".
	Name string `json:"name"`
	// Level says whether it is met.
	Level Level `json:"level"`
	// Message says what was found.
	Message string `json:"message"`
	// Mend is the command that mends it, empty where there is none.
	Mend string `json:"mend,omitempty"`
}

// Options are what the install is going to use.
type Options struct {
	// Home and Cache are directories, which need not exist yet.
	Home, Cache string
	// Listen is the address of the front end, MetricsListen that of metrics;
	// empty if Berth may choose.
	Listen, MetricsListen string
	// PublicRange is the pool of public addresses, the zero Prefix if Berth may choose.
	PublicRange netip.Prefix
	// Announced says that others on a link of the host are to reach it, whose
	// network may hold it.
	Announced bool
	// HostRoutes reads the destinations of the host's routes; nil if nobody asks.
	HostRoutes func() ([]netip.Prefix, error)
	// Running is true if the install's own daemon runs, so that its range is its own.
	Running bool
	// Own are the addresses that the install's own daemon listens on.
	Own []string
}

// owns says whether the install's own daemon listens on an address.
func (o Options) owns(address string) bool { return o.Running && slices.Contains(o.Own, address) }

// Check runs every check.
func Check(options Options) []Finding {
	h := host{root: "/", makeNamespace: makeNamespace}
	findings := []Finding{checkRoot()}
	for _, check := range []func() Finding{
		h.cgroups, h.nftables, h.userNamespaces, h.inotify, h.files, h.processes, h.network, checkTools,
	} {
		findings = append(findings, check())
	}
	return append(findings, checkPath(options.Home),
		checkPort("port", "listen", options.Listen, options.owns(options.Listen)),
		checkPort("metrics port", "metrics-listen", options.MetricsListen, options.owns(options.MetricsListen)),
		h.checkRange(options), checkDisk("home", options.Home, 5), checkDisk("cache", options.Cache, 10))
}

// Failed says whether any finding is an error.
func Failed(findings []Finding) bool {
	for _, f := range findings {
		if f.Level == LevelError {
			return true
		}
	}
	return false
}

// Unmet are the findings that are not ok, errors first.
func Unmet(findings []Finding) []Finding {
	unmet := []Finding{}
	for _, f := range findings {
		if f.Level != LevelOK {
			unmet = append(unmet, f)
		}
	}
	slices.SortStableFunc(unmet, func(a, b Finding) int {
		return cmp.Compare(severity(a.Level), severity(b.Level))
	})
	return unmet
}

func severity(level Level) int {
	return slices.Index([]Level{LevelError, LevelWarning, LevelOK}, level)
}

// Render prints findings on one screen.
func Render(w io.Writer, findings []Finding) error {
	var text strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&text, "%-8s %-16s %s\n", f.Level, f.Name, f.Message)
		if f.Mend != "" {
			fmt.Fprintf(&text, "%-25s %s\n", "", "mend it with: "+f.Mend)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func ok(name, format string, args ...any) Finding {
	return Finding{Name: name, Level: LevelOK, Message: fmt.Sprintf(format, args...)}
}

func warning(name, mend, format string, args ...any) Finding {
	return Finding{Name: name, Level: LevelWarning, Mend: mend, Message: fmt.Sprintf(format, args...)}
}

func failed(name, mend, format string, args ...any) Finding {
	return Finding{Name: name, Level: LevelError, Mend: mend, Message: fmt.Sprintf(format, args...)}
}
