package process

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/supervise"
)

// place puts the API server and its konnectivity server into their slot and
// brings a hand-over one step on.
//
// The pair that serves is held: when a program, flags or files of it change it
// goes on as it was started, and so do its clients behind it. The changed pair
// starts in another slot, and the nodes' agents, which look for servers all the
// time, meet its konnectivity server by and by. Once the API server is ready and
// the agents are there, new connections are led to it, and the predecessor, no
// longer listed, finishes what it was asked and ends; then its konnectivity
// server does. Where it stands follows from the door and the supervisor's status,
// so that a kill after any line changes nothing. A change that comes meanwhile waits
// until what runs in the next slot has ended. A server that never becomes ready
// never serves: the predecessor does, until something better is desired.
//
// A control plane without a network namespace of its own has one slot, and what
// changed is restarted in it.
func (r *Runtime) place(
	ctx context.Context, desired controlplane.Desired, components []supervise.Component, status supervise.Status,
) ([]supervise.Component, error) {
	if desired.NetworkNamespace == "" || desired.DatastoreOnly {
		return components, nil
	}
	door := door{namespace: desired.NetworkNamespace, address: desired.Address}
	serving, steps, err := door.serving()
	if err != nil {
		return nil, err
	}
	next := serving.Next()
	handingOver := seen(status, serving.Component()).Outdated || seen(status, serving.Konnectivity()).Outdated
	if handingOver && runs(status, next.Component()) && runs(status, next.Konnectivity()) && r.ready(ctx, desired, status, serving) {
		serving, handingOver = next, false
	}
	to := leads{apiServer: serving, agents: []controlplane.Slot{serving}}
	if handingOver && runs(status, next.Konnectivity()) {
		to.agents = []controlplane.Slot{next, serving}
	}
	if !slices.Equal(to.rules(), steps) {
		if err := door.lead(to); err != nil {
			return nil, err
		}
	}
	next = serving.Next()
	if stale(status, next.Component()) || stale(status, next.Konnectivity()) {
		handingOver = false // what runs there yet finishes what it was asked, and ends, before the successors start
	}
	return inSlots(components, serving, handingOver, status), nil
}

// inSlots lists the pair that serves, its successors while it is handed over,
// and the konnectivity servers that somebody may still go through.
func inSlots(components []supervise.Component, serving controlplane.Slot, handingOver bool, status supervise.Status) []supervise.Component {
	hold := func(c supervise.Component) supervise.Component { c.Hold = true; return c }
	others := handingOver
	for _, slot := range controlplane.Slots() {
		others = others || slot != serving && seen(status, slot.Component()).PID != 0
	}
	var placed []supervise.Component
	for _, c := range components {
		switch c.Name {
		case controlplane.APIServer:
			placed = append(placed, hold(serving.Place(c)))
			if handingOver {
				placed = append(placed, serving.Next().Place(c))
			}
		case controlplane.Konnectivity:
			placed = append(placed, hold(serving.Place(c)))
			for _, slot := range controlplane.Slots() {
				switch {
				case slot == serving:
				case handingOver && slot == serving.Next():
					placed = append(placed, slot.Place(c))
				case others && seen(status, slot.Konnectivity()).PID != 0:
					placed = append(placed, hold(slot.Place(c)))
				}
			}
		default:
			placed = append(placed, c)
		}
	}
	return placed
}

// server names the process that new connections to the API server reach.
func server(desired controlplane.Desired, status supervise.Status) (string, error) {
	serving := controlplane.FirstSlot
	if desired.NetworkNamespace != "" {
		var err error
		if serving, _, err = (door{namespace: desired.NetworkNamespace, address: desired.Address}).serving(); err != nil {
			return "", fmt.Errorf("control plane %s: %w", desired.ID, err)
		}
	}
	return processOf(status, serving), nil
}

// processOf names the process of a slot's API server.
func processOf(status supervise.Status, slot controlplane.Slot) string {
	component := seen(status, slot.Component())
	return fmt.Sprintf("%s/%d", component.Name, component.PID)
}

// seen is a component as its supervisor last saw it.
func seen(status supervise.Status, name string) supervise.ComponentStatus {
	for _, component := range status.Components {
		if component.Name == name {
			return component
		}
	}
	return supervise.ComponentStatus{}
}

// runs says that a component runs as it is desired.
func runs(status supervise.Status, name string) bool {
	component := seen(status, name)
	return component.PID != 0 && !component.Outdated
}

// stale says that a component runs, and not as it is desired: the predecessor of
// what serves, or a successor that something else was desired of meanwhile.
func stale(status supervise.Status, name string) bool {
	component := seen(status, name)
	return component.PID != 0 && component.Outdated
}

// servers counts the API servers and the konnectivity servers that run.
func servers(status supervise.Status) (apiServers, konnectivity int) {
	for _, slot := range controlplane.Slots() {
		if seen(status, slot.Component()).PID != 0 {
			apiServers++
		}
		if seen(status, slot.Konnectivity()).PID != 0 {
			konnectivity++
		}
	}
	return apiServers, konnectivity
}

// ready says whether the pair beside the slot that serves could: its API server
// answers, watches can go over to it, and it reaches the nodes that its
// predecessor reaches. What only takes a while is not waited for without end.
func (r *Runtime) ready(ctx context.Context, desired controlplane.Desired, status supervise.Status, serving controlplane.Slot) bool {
	client, err := newClient(desired)
	if err != nil {
		return false
	}
	defer client.CloseIdleConnections()
	next := serving.Next()
	base := "https://" + netip.AddrPortFrom(desired.Address, uint16(next)).String()
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	code, _, err := get(ctx, client, base+"/readyz")
	if err != nil || code != http.StatusOK {
		r.followers.forget(desired.ID)
		return false
	}
	if keepWatches(ctx, client, base, processOf(status, next)) != nil && r.followers.waited(desired.ID) < followLasts {
		return false
	}
	return r.followers.arrived(ctx, desired, serving, next)
}
