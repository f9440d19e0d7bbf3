package dns

import (
	"fmt"
	"path/filepath"
	"time"

	"berth.dev/berth/internal/supervise"
)

// The files of the server in its directory.
const (
	// CorefileName is its configuration.
	CorefileName = "Corefile"
	// ZoneFileName is the zone, which the server reads again by itself.
	ZoneFileName = "zone"
)

// reloadInterval is how often the server looks whether the zone changed: it
// reads the first line.
const reloadInterval = 500 * time.Millisecond

// Desired is the server of the install zone as it should run.
type Desired struct {
	// Zone is what it serves.
	Zone Zone
	// Program is the path of CoreDNS.
	Program string
	// NetworkNamespace is the path of the namespace that has the server's
	// address, in which every process may bind port 53.
	NetworkNamespace string
}

// Corefile is the server's configuration. Queries for other zones match no
// block of it, which CoreDNS answers with REFUSED.
func (d Desired) Corefile() []byte {
	return fmt.Appendf(nil, `%s:53 {
    bind %s
    errors
    file %s {
        reload %s
    }
}
`, d.Zone.Name, d.Zone.Server, ZoneFileName, reloadInterval)
}

// Components is the server's process; dir is the directory of its files.
func (d Desired) Components(dir string) []supervise.Component {
	corefile := filepath.Join(dir, CorefileName)
	return []supervise.Component{{
		Name:            "coredns",
		Command:         []string{d.Program, "-conf", corefile},
		Env:             []string{"GOMEMLIMIT=128MiB"},
		Dir:             dir,
		StopTimeout:     2 * time.Second,
		RestartOnChange: []string{corefile},
	}}
}
