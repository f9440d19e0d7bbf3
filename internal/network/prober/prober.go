// Package prober runs the process that takes dead backends out of rotation
// (cmd/berth-prober): one a host, under a supervisor, with a cgroup of its own.
// It goes on when the daemon ends: the next one adopts it. The package must not
// know what is asked or how; that is package health's.
//
//	<home>/balancers/       what daemon and prober tell each other, root's
//	<home>/balancers/run/   the supervisor's directory
package prober

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/supervise"
)

// limits hold the process to what the backends of a whole host could need. The
// shares let it ask in time while machines are short of CPU: a late answer looks
// like a dead node.
func limits() cgroup.Limits {
	return cgroup.Limits{MemoryBytes: 256 << 20, Pids: 512, CPUShares: 4 * 1024}
}

// Options is what a Prober needs.
type Options struct {
	// Home says where the files lie and what the install's names begin with.
	Home home.Home
	// Supervisor and Program are the paths of the berth-supervisor and
	// berth-prober binaries.
	Supervisor, Program string
	// Cgroups are the host's.
	Cgroups cgroup.Hierarchy
}

// Prober keeps the process.
type Prober struct {
	options Options
}

// New makes a Prober. It starts nothing.
func New(options Options) *Prober {
	return &Prober{options: options}
}

// Dir is the directory that daemon and process share.
func Dir(h home.Home) string { return h.BalancersDir() }

// Ensure makes the process run, and says whether it does. A new program
// replaces the one that runs; what that one found holds until the new one knows better.
func (p *Prober) Ensure(ctx context.Context) (running bool, err error) {
	for _, dir := range []string{Dir(p.options.Home), p.runDir()} {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return false, fmt.Errorf("running the prober: %w", err)
		}
	}
	if err := p.options.Cgroups.Create(p.cgroup(), limits()); err != nil {
		return false, fmt.Errorf("running the prober: %w", err)
	}
	status, err := p.handle().Ensure(ctx, supervise.Spec{Components: p.components()})
	if err != nil {
		return false, fmt.Errorf("running the prober: %w", err)
	}
	return len(status.Components) == 1 && status.Components[0].PID != 0, nil
}

// Stop stops the process; supervise.ErrInProgress until it is gone.
func (p *Prober) Stop(ctx context.Context) error {
	_, err := os.Stat(p.runDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stopping the prober: %w", err)
	}
	return p.handle().Stop(ctx)
}

func (p *Prober) components() []supervise.Component {
	return []supervise.Component{{
		Name:        "prober",
		Command:     []string{p.options.Program, "-instance", p.options.Home.Instance, Dir(p.options.Home)},
		Env:         []string{"GOMEMLIMIT=128MiB"},
		Dir:         Dir(p.options.Home),
		StopTimeout: 2 * time.Second,
	}}
}

func (p *Prober) handle() supervise.Handle {
	return supervise.Handle{Dir: p.runDir(), Program: p.options.Supervisor, CgroupPath: p.cgroup()}
}

func (p *Prober) runDir() string { return filepath.Join(Dir(p.options.Home), "run") }
func (p *Prober) cgroup() string { return p.options.Home.Prefix() + "/prober" }
