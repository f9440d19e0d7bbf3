package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/management"
	"berth.dev/berth/internal/supervise"
)

// stopInterval is how often something that is stopping is asked again.
const stopInterval = 50 * time.Millisecond

// DownOptions say what to take down.
type DownOptions struct {
	// Home is the home directory.
	Home string
	// Purge removes data and home too; without it "berth up" brings all back.
	Purge bool
}

// Down stops the daemon and everything that it made on this host: machines,
// control planes, the DNS, the management API, networks and cgroups, in that order. It
// may be interrupted and called again.
func Down(ctx context.Context, o DownOptions, tell func(string)) error {
	h, err := home.Open(o.Home)
	if errors.Is(err, home.ErrNotFound) {
		tell("nothing to do: there is no install in " + o.Home)
		return nil
	}
	if err != nil {
		return err
	}
	tell("stopping the service")
	if err := StopDaemon(ctx, h); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	lock, err := h.Lock()
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }() // it ends with the process at the latest
	supervisor, err := anySupervisor(h)
	if err != nil {
		return err
	}
	d, err := newDrivers(h, supervisor, "")
	if err != nil {
		return err
	}
	if err := d.takeDown(ctx, o, management.New(h, supervisor, nil), tell); err != nil {
		return err
	}
	if err := d.cgroups.Kill(ctx, h.Prefix()); err != nil {
		return fmt.Errorf("ending what is left: %w", err)
	}
	if err := d.cgroups.Remove(h.Prefix()); err != nil {
		return fmt.Errorf("removing the cgroups: %w", err)
	}
	if !o.Purge {
		return nil
	}
	tell("removing " + h.Dir)
	return h.Remove()
}

// takeDown stops or deletes what the drivers made.
func (d drivers) takeDown(ctx context.Context, o DownOptions, server *management.Server, tell func(string)) error {
	endMachine, endControlPlane := d.provider.Stop, d.runtime.Stop
	if o.Purge {
		endMachine, endControlPlane = d.provider.Delete, d.runtime.Delete
	}
	machines, err := d.provider.List(ctx)
	if err != nil {
		return fmt.Errorf("listing machines: %w", err)
	}
	tell(fmt.Sprintf("stopping %d machines", len(machines)))
	if err := endAll(ctx, machines, endMachine, machine.ErrInProgress); err != nil {
		return fmt.Errorf("stopping machines: %w", err)
	}
	controlPlanes, err := d.runtime.List(ctx)
	if err != nil {
		return fmt.Errorf("listing control planes: %w", err)
	}
	tell(fmt.Sprintf("stopping %d control planes", len(controlPlanes)))
	if err := endAll(ctx, controlPlanes, endControlPlane, controlplane.ErrInProgress); err != nil {
		return fmt.Errorf("stopping control planes: %w", err)
	}
	if err := endAll(ctx, []string{"dns"}, func(ctx context.Context, _ string) error { return d.names.Stop(ctx) }, supervise.ErrInProgress); err != nil {
		return fmt.Errorf("stopping the DNS: %w", err)
	}
	if err := endAll(ctx, []string{"prober"}, func(ctx context.Context, _ string) error { return d.prober.Stop(ctx) }, supervise.ErrInProgress); err != nil {
		return fmt.Errorf("stopping the prober: %w", err)
	}
	tell("stopping the management API")
	stop := func(ctx context.Context, _ string) error { return server.Stop(ctx) }
	if err := endAll(ctx, []string{"management"}, stop, supervise.ErrInProgress); err != nil {
		return fmt.Errorf("stopping the management API: %w", err)
	}
	tell("removing networks")
	return d.removeNetworks(ctx)
}

func (d drivers) removeNetworks(ctx context.Context) error {
	endpoints, networks, err := d.fabric.List(ctx)
	if err != nil {
		return fmt.Errorf("listing networks: %w", err)
	}
	for _, id := range networks {
		if err := d.fabric.DeleteNetwork(ctx, id); err != nil {
			return fmt.Errorf("removing the network %s: %w", id, err)
		}
	}
	for _, id := range endpoints {
		if err := d.fabric.DeleteEndpoint(ctx, id); err != nil {
			return fmt.Errorf("removing the endpoint %s: %w", id, err)
		}
	}
	if err := d.fabric.DeleteEdge(ctx); err != nil {
		return fmt.Errorf("removing the edge: %w", err)
	}
	return nil
}

// endAll ends all of a kind at once, and asks again while one is in progress.
func endAll(ctx context.Context, ids []string, end func(context.Context, string) error, inProgress error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, id := range ids {
		group.Go(func() error {
			tick := time.NewTicker(stopInterval)
			defer tick.Stop()
			for {
				err := end(ctx, id)
				if !errors.Is(err, inProgress) {
					return err
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-tick.C:
				}
			}
		})
	}
	return group.Wait()
}

// anySupervisor finds a supervisor program: the one beside this program, or,
// where that is gone, one that the home still has.
func anySupervisor(h home.Home) (string, error) {
	if path, err := installSupervisor(h); err == nil {
		return path, nil
	}
	known, err := filepath.Glob(filepath.Join(h.BinDir(), supervisorName+"-*"))
	if err != nil || len(known) == 0 {
		return "", fmt.Errorf("finding the supervisor: %w: neither beside this program nor in %s", os.ErrNotExist, h.BinDir())
	}
	return known[len(known)-1], nil
}
