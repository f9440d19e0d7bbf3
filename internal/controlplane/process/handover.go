package process

import (
	"context"
	"net/http"
	"net/netip"
	"slices"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/supervise"
)

// place puts the API server into its slot and brings a hand-over one step on.
//
// The server that serves is held: when its program, flags or files change it
// goes on as it was started, and so do its clients behind it. The changed one
// starts in another slot; once that is ready, new connections are led there,
// and the predecessor, no longer listed, finishes what it was asked and ends.
// Where it stands follows from the door and the supervisor's status, so that a
// kill after any line changes nothing. A server that never becomes ready never
// serves: the predecessor does, until something better is desired.
//
// A control plane without a network namespace of its own has one slot, and a
// changed API server is restarted in it.
func (r *Runtime) place(
	ctx context.Context, desired controlplane.Desired, components []supervise.Component, status supervise.Status,
) ([]supervise.Component, error) {
	if desired.NetworkNamespace == "" || desired.DatastoreOnly {
		return components, nil
	}
	door := door{namespace: desired.NetworkNamespace, address: desired.Address}
	serving, err := door.serving()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(components, func(c supervise.Component) bool { return c.Name == controlplane.APIServer })
	server := components[i]
	next := serving.Next()
	handingOver := seen(status, serving).Outdated
	if successor := seen(status, next); handingOver && successor.PID != 0 && !successor.Outdated && ready(ctx, desired, next) {
		if err := door.lead(next); err != nil {
			return nil, err
		}
		serving, handingOver = next, false
	}
	held := serving.Place(server)
	held.Hold = true
	placed := []supervise.Component{held}
	if handingOver {
		placed = append(placed, next.Place(server))
	}
	return slices.Replace(slices.Clone(components), i, i+1, placed...), nil
}

// seen is the API server of a slot as its supervisor last saw it.
func seen(status supervise.Status, slot controlplane.Slot) supervise.ComponentStatus {
	for _, component := range status.Components {
		if component.Name == slot.Component() {
			return component
		}
	}
	return supervise.ComponentStatus{}
}

// ready says whether the API server of a slot could serve.
func ready(ctx context.Context, desired controlplane.Desired, slot controlplane.Slot) bool {
	client, err := newClient(desired)
	if err != nil {
		return false
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	code, _, err := get(ctx, client, "https://"+netip.AddrPortFrom(desired.Address, uint16(slot)).String()+"/readyz")
	return err == nil && code == http.StatusOK
}
