package allocation

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
)

// conflictAttempts is how often a write is repeated at once when another pool wrote in between.
const conflictAttempts = 5

// EnsurePorts gives each of the machines a place in a virtual network, in one
// write, and returns the network as it then is. A machine that has one keeps it.
func (a Allocator) EnsurePorts(ctx context.Context, network string, machines []Owner) (*networkv1.VirtualNetwork, error) {
	return a.updatePorts(ctx, network, func(vnet *networkv1.VirtualNetwork) (bool, error) {
		changed := false
		for _, machine := range machines {
			if FindPort(vnet, machine.Incarnation) != nil {
				continue
			}
			port, err := freePort(vnet)
			if err != nil {
				return false, err
			}
			port.MachineName, port.Incarnation = machine.Name, machine.Incarnation
			vnet.Spec.Ports = append(vnet.Spec.Ports, port)
			changed = true
		}
		return changed, nil
	})
}

// ReleasePort takes a machine's place away. A network that is gone has none.
func (a Allocator) ReleasePort(ctx context.Context, network string, machine Owner) error {
	_, err := a.updatePorts(ctx, network, func(vnet *networkv1.VirtualNetwork) (bool, error) {
		before := len(vnet.Spec.Ports)
		vnet.Spec.Ports = slices.DeleteFunc(vnet.Spec.Ports, func(p networkv1.Port) bool {
			return p.Incarnation == machine.Incarnation
		})
		return len(vnet.Spec.Ports) != before, nil
	})
	return client.IgnoreNotFound(err)
}

// FindPort is the port of a machine's incarnation, nil if there is none.
func FindPort(vnet *networkv1.VirtualNetwork, incarnation string) *networkv1.Port {
	for i := range vnet.Spec.Ports {
		if vnet.Spec.Ports[i].Incarnation == incarnation {
			return &vnet.Spec.Ports[i]
		}
	}
	return nil
}

// updatePorts writes what change makes of the network, under its
// resourceVersion: pools of one cluster take their ports side by side.
func (a Allocator) updatePorts(ctx context.Context, network string, change func(*networkv1.VirtualNetwork) (bool, error)) (*networkv1.VirtualNetwork, error) {
	var err error
	for range conflictAttempts {
		vnet := &networkv1.VirtualNetwork{}
		if err = a.Reader.Get(ctx, client.ObjectKey{Name: network}, vnet); err != nil {
			break
		}
		var changed bool
		if changed, err = change(vnet); err == nil && changed {
			err = a.Client.Update(ctx, vnet)
		}
		if err == nil {
			return vnet, nil
		}
		if !apierrors.IsConflict(err) {
			break
		}
	}
	return nil, fmt.Errorf("writing the ports of virtual network %s: %w", network, err)
}

// freePort is the lowest address and the lowest pod range that no port has.
func freePort(vnet *networkv1.VirtualNetwork) (networkv1.Port, error) {
	nodes, err := netip.ParsePrefix(vnet.Spec.NodeCIDR)
	if err != nil {
		return networkv1.Port{}, fmt.Errorf("reading the node range: %w", err)
	}
	pods, err := netip.ParsePrefix(vnet.Spec.PodCIDR)
	if err != nil {
		return networkv1.Port{}, fmt.Errorf("reading the pod range: %w", err)
	}
	var addresses []netip.Addr
	var ranges []netip.Prefix
	for _, port := range vnet.Spec.Ports {
		address, addressErr := netip.ParseAddr(port.Address)
		podRange, rangeErr := netip.ParsePrefix(port.PodCIDR)
		if err := errors.Join(addressErr, rangeErr); err != nil {
			return networkv1.Port{}, fmt.Errorf("reading the port of %s: %w", port.MachineName, err)
		}
		addresses, ranges = append(addresses, address), append(ranges, podRange)
	}
	address, err := network.AllocateAddress(nodes, addresses)
	if err != nil {
		return networkv1.Port{}, err
	}
	podRange, err := network.AllocatePodRange(pods, ranges)
	if err != nil {
		return networkv1.Port{}, err
	}
	return networkv1.Port{Address: address.String(), PodCIDR: podRange.String()}, nil
}

// ReleaseMachine gives back all that is taken for a machine before its Machine
// is made: its Secret, its id range and, as the last, the port that is the
// record of both. network is empty where that is gone.
func (a Allocator) ReleaseMachine(ctx context.Context, network string, machine Owner) error {
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = naming.SystemNamespace, machine.Name
	if err := a.Client.Delete(ctx, secret); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the secret of machine %s: %w", machine.Name, err)
	}
	if err := a.ReleaseIDRange(ctx, machine); err != nil || network == "" {
		return err
	}
	return a.ReleasePort(ctx, network, machine)
}
