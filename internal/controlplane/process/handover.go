package process

import (
	"context"
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
// so that a kill after any line changes nothing. A server that never becomes ready
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
	if handingOver && runs(status, next.Component()) && runs(status, next.Konnectivity()) && r.ready(ctx, desired, serving, next) {
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

// ready says whether the pair of a slot could serve: its API server answers, and
// it reaches the nodes that its predecessor reaches.
func (r *Runtime) ready(ctx context.Context, desired controlplane.Desired, serving, next controlplane.Slot) bool {
	client, err := newClient(desired)
	if err != nil {
		return false
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	code, _, err := get(ctx, client, "https://"+netip.AddrPortFrom(desired.Address, uint16(next)).String()+"/readyz")
	if err != nil || code != http.StatusOK {
		r.followers.forget(desired.ID)
		return false
	}
	return r.followers.arrived(ctx, desired, serving, next)
}
