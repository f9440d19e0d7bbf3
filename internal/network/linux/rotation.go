package linux

import (
	"context"
	"errors"
	"fmt"

	"berth.dev/berth/internal/network"
)

// balance programs a network's balancers over the backends that are well, and
// leaves the network where the prober finds it. What it finds holds until it
// says otherwise.
func (f *Fabric) balance(router *session, n network.Network) error {
	if f.health.Dir == "" {
		return f.program(router, n)
	}
	unlock, err := f.health.Lock(n.ID)
	if err != nil {
		return err
	}
	defer unlock()
	down, err := f.health.Ensure(n)
	if err != nil {
		return err
	}
	return f.program(router, down.Apply(n))
}

// program writes the balancers and ends the flows that they no longer allow.
func (f *Fabric) program(router *session, n network.Network) error {
	if err := f.writeBalance(router, n); err != nil {
		return err
	}
	if !f.balanced.changed(n) {
		return nil
	}
	if err := forgetStale(router, n); err != nil {
		return err
	}
	f.balanced.remember(n)
	return nil
}

// Rebalance programs the balancers of a network as it was last ensured, for a
// process beside the daemon whose finding of what is well changed. A network
// that is gone needs nothing.
func (f *Fabric) Rebalance(ctx context.Context, id string) error {
	if err := errors.Join(f.check(ctx), network.ValidateID(id)); err != nil {
		return fmt.Errorf("balancing network %s: %w", id, err)
	}
	defer f.nouns.lock("network/" + id)()
	unlock, err := f.health.Lock(id)
	if err != nil {
		return err
	}
	defer unlock()
	n, found, err := f.health.Network(id)
	if err != nil || !found {
		return err
	}
	down, err := f.health.Down(id)
	if err != nil {
		return err
	}
	router, err := open(f.names.router(id))
	if errors.Is(err, network.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("balancing network %s: %w", id, err)
	}
	defer router.close()
	if err := f.program(router, down.Apply(n)); err != nil {
		return fmt.Errorf("balancing network %s: %w", id, err)
	}
	return nil
}

// Inside runs do on a thread inside a network's router; network.ErrNotFound if
// there is none.
func (f *Fabric) Inside(id string, do func() error) error {
	if err := errors.Join(f.names.validate(), network.ValidateID(id)); err != nil {
		return fmt.Errorf("entering network %s: %w", id, err)
	}
	router, err := open(f.names.router(id))
	if err != nil {
		return fmt.Errorf("entering network %s: %w", id, err)
	}
	defer router.close()
	return inNamespace(router.file, do)
}

// forgetHealth removes what a network left for the prober, which lets go of it.
func (f *Fabric) forgetHealth(id string) error {
	if f.health.Dir == "" {
		return nil
	}
	return f.health.Remove(id)
}
