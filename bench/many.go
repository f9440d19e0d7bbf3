package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/prometheus/procfs"

	"berth.dev/berth/bench/tenant"
)

// What many clusters are: together is how many are asked for at once, getsPerS and
// getsFor the questions that all that idle are then asked in turn.
const (
	together = 20
	getsPerS = 50
	getsFor  = 20 * time.Second
	rawRuns  = 3
)

// The memory that a host needs for clusters without nodes, in MB: an idle control
// plane with a margin for its start, and what the service and the others take.
const (
	planeMegabytes   = 300
	besidesMegabytes = 2000
)

// measureMany asks for many clusters without nodes at once, then for more until
// there are as many as asked for, and lets them idle. It is measured once: it takes
// minutes, and each of its figures is one of many clusters.
func measureMany(ctx context.Context, scratch string, clusters int) ([]samples, error) {
	if clusters < together {
		return nil, fmt.Errorf("-clusters %d: use %d or more, as many as are asked for at once", clusters, together)
	}
	if err := roomFor(clusters); err != nil {
		return nil, err
	}
	span := samples{name: fmt.Sprintf("%d clusters asked for at once, until the last has Succeeded", together), limit: 1.3}
	gets := samples{name: fmt.Sprintf("99th percentile of a GET of %d idle clusters", clusters), unit: "ms", limit: 100}
	daemon := samples{name: "memory of daemon and agent for each idle cluster", unit: "MB", limit: 2}
	management := samples{name: "memory of the management API for each idle cluster", unit: "MB", limit: 2}
	plane := samples{name: fmt.Sprintf("memory of each of %d idle control planes", clusters), unit: "MB", limit: 200}
	built, err := artifacts()
	if err != nil {
		return nil, err
	}
	for range rawRuns {
		figure, err := raw{dir: filepath.Join(scratch, "raw"), artifacts: built}.controlPlane(ctx)
		if err != nil {
			return nil, fmt.Errorf("starting a raw control plane: %w", err)
		}
		span.baseline = append(span.baseline, together*figure.CPU/float64(runtime.NumCPU()))
	}
	err = onEmptyInstall(ctx, scratch, func(t teller) error {
		before, err := t.settled(ctx, map[string]string{"management": "management"})
		if err != nil {
			return err
		}
		begun := time.Now()
		if err := t.createTogether(ctx, 0, together); err != nil {
			return err
		}
		span.values = append(span.values, time.Since(begun).Seconds())
		for from := together; from < clusters; from += together {
			if err := t.createTogether(ctx, from, min(from+together, clusters)); err != nil {
				return err
			}
		}
		after, err := t.idle(ctx)
		if err != nil {
			return err
		}
		each := func(before, after consumption) float64 {
			return (after.megabytes - before.megabytes) / float64(clusters)
		}
		daemon.values = append(daemon.values, each(before["daemon"], after.daemon))
		management.values = append(management.values, each(before["management"], after.management))
		plane.values = append(plane.values, after.plane.megabytes/float64(clusters))
		p99, err := t.askAll(ctx, clusters)
		gets.values = append(gets.values, p99)
		return err
	})
	return []samples{span, gets, daemon, management, plane}, err
}

// roomFor refuses to fill a host's memory: what runs beside would be killed first.
func roomFor(clusters int) error {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return err
	}
	memory, err := proc.Meminfo()
	if err != nil {
		return err
	}
	if memory.MemAvailableBytes == nil {
		return errors.New("/proc/meminfo does not say how much memory is available")
	}
	has, needs := *memory.MemAvailableBytes/1e6, uint64(clusters*planeMegabytes+besidesMegabytes)
	if has < needs {
		return fmt.Errorf("%d clusters without nodes need %d MB of memory and %d MB are available: stop what else runs, or give -clusters", clusters, needs, has)
	}
	return nil
}

// clusterName is that of one of many.
func clusterName(n int) string { return fmt.Sprintf("bench-%d", n) }

// createTogether asks for clusters without nodes at once and waits until each is there.
func (t teller) createTogether(ctx context.Context, from, to int) error {
	ended := make(chan error, to-from)
	for n := from; n < to; n++ {
		go func() {
			err := t.createWithoutPools(ctx, clusterName(n))
			if err != nil {
				err = fmt.Errorf("creating %s: %w", clusterName(n), err)
			}
			ended <- err
		}()
	}
	var errs []error
	for range to - from {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

// askAll asks all clusters in turn at a constant rate, and is the 99th percentile
// of what they took in ms.
func (t teller) askAll(ctx context.Context, clusters int) (float64, error) {
	servers := make([]*tenant.Server, clusters)
	for n := range servers {
		var err error
		if servers[n], err = t.tenant(ctx, clusterName(n)); err != nil {
			return 0, err
		}
		if err := servers[n].Get(ctx, 0); err != nil { // an administrator's connection is there already
			return 0, fmt.Errorf("asking %s: %w", clusterName(n), err)
		}
	}
	took, err := tenant.AtRate(ctx, getsPerS, getsFor, func(ctx context.Context, n int) error {
		return servers[n%clusters].Get(ctx, n)
	})
	if err != nil {
		return 0, fmt.Errorf("asking idle clusters: %w", err)
	}
	return milliseconds(tenant.P99(took)), nil
}
