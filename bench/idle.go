package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"

	"berth.dev/berth/internal/home"
)

// consumption is what processes hold and compute while nobody asks anything.
type consumption struct {
	// megabytes is the sum of RssAnon: what no other process shares.
	megabytes float64
	// percent is the processor time, of one core.
	percent float64
}

// idleInstall is the consumption of an install: its service, which is the daemon
// with the agent and the management API with its supervisor, and its control
// planes together.
type idleInstall struct {
	service, daemon, management, plane consumption
}

// idle waits until the install has settled and looks at it.
func (t teller) idle(ctx context.Context) (idleInstall, error) {
	seen, err := t.settled(ctx, map[string]string{"management": "management", "planes": "cp-*"})
	if err != nil {
		return idleInstall{}, err
	}
	service := consumption{
		megabytes: seen["daemon"].megabytes + seen["management"].megabytes,
		percent:   seen["daemon"].percent + seen["management"].percent,
	}
	return idleInstall{service: service, daemon: seen["daemon"], management: seen["management"], plane: seen["planes"]}, nil
}

// settled waits until the install has settled and looks at its daemon and at the
// control groups of patterns, by name.
func (t teller) settled(ctx context.Context, patterns map[string]string) (map[string]consumption, error) {
	if err := wait(ctx, settle); err != nil {
		return nil, err
	}
	daemon, err := t.daemon()
	if err != nil {
		return nil, err
	}
	instance, err := t.instance()
	if err != nil {
		return nil, err
	}
	groups := map[string][]int{"daemon": {daemon.PID}}
	for name, pattern := range patterns {
		if groups[name], err = processes(filepath.Join("berth-"+instance, pattern)); err != nil {
			return nil, err
		}
	}
	return consumed(ctx, groups)
}

// daemon is the install's, which runs.
func (t teller) daemon() (home.Daemon, error) {
	h, err := home.Open(t.home)
	if err != nil {
		return home.Daemon{}, err
	}
	daemon, found, err := h.ReadDaemon()
	if err == nil && !found {
		err = errors.New("no daemon runs")
	}
	return daemon, err
}

// processes are those of the control groups of a pattern, of either version.
func processes(pattern string) ([]int, error) {
	var pids []int
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		files, err := filepath.Glob(filepath.Join(root, pattern, "cgroup.procs"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			for field := range strings.FieldsSeq(string(content)) {
				pid, err := strconv.Atoi(field)
				if err != nil {
					return nil, err
				}
				pids = append(pids, pid)
			}
		}
	}
	slices.Sort(pids)
	if pids = slices.Compact(pids); len(pids) == 0 { // a process is in a group of each hierarchy
		return nil, fmt.Errorf("no process in a control group %s", pattern)
	}
	return pids, nil
}

// consumed looks at groups of processes for a while.
func consumed(ctx context.Context, groups map[string][]int) (map[string]consumption, error) {
	before, _, err := totals(groups)
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, quiet); err != nil {
		return nil, err
	}
	after, memory, err := totals(groups)
	seen := map[string]consumption{}
	for name := range groups {
		seen[name] = consumption{megabytes: memory[name], percent: (after[name] - before[name]) / quiet.Seconds() * 100}
	}
	return seen, err
}

// totals are the seconds of processor time and the megabytes of RssAnon of groups.
func totals(groups map[string][]int) (seconds, megabytes map[string]float64, err error) {
	seconds, megabytes = map[string]float64{}, map[string]float64{}
	for name, pids := range groups {
		for _, pid := range pids {
			process, err := procfs.NewProc(pid)
			if err != nil {
				return nil, nil, fmt.Errorf("looking at a process of %s: %w", name, err)
			}
			stat, statErr := process.Stat()
			status, statusErr := process.NewStatus()
			if err := errors.Join(statErr, statusErr); err != nil {
				return nil, nil, fmt.Errorf("looking at a process of %s: %w", name, err)
			}
			seconds[name] += stat.CPUTime()
			megabytes[name] += float64(status.RssAnon) / 1e6
		}
	}
	return seconds, megabytes, nil
}

// wait lets time pass that is measured over, or that an idle state takes.
func wait(ctx context.Context, length time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(length):
		return nil
	}
}
