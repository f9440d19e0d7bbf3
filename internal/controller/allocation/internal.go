package allocation

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/network"
)

// ErrUnavailable is why an address that is asked for cannot be had; nothing but
// time, or asking for another one, helps.
var ErrUnavailable = errors.New("the address cannot be had")

// Internal is an address inside a virtual network that a service asks for.
type Internal struct {
	// ClusterIncarnation is that of the service's cluster.
	ClusterIncarnation string
	// Service is namespace/name of the service.
	Service string
	// Subnet is the name of the subnet; empty is that of the cluster's nodes.
	Subnet string
	// Address is the one that is asked for; invalid for any.
	Address netip.Addr
}

// EnsureInternal is the address that a service has inside a network, and the
// name of its subnet; taken now unless the service already has one like it. One
// that another service of the cluster has may be asked for.
func (a Allocator) EnsureInternal(ctx context.Context, virtual string, wish Internal) (netip.Addr, string, error) {
	var taken networkv1.InternalAddress
	_, err := a.UpdateNetwork(ctx, virtual, func(vnet *networkv1.VirtualNetwork) (changed bool, err error) {
		taken, changed, err = wish.take(vnet)
		return changed, err
	})
	if err != nil {
		return netip.Addr{}, "", err
	}
	address, err := netip.ParseAddr(taken.Address)
	return address, taken.Subnet, err
}

// take finds or adds the entry of a network.
func (w Internal) take(vnet *networkv1.VirtualNetwork) (networkv1.InternalAddress, bool, error) {
	spec := vnet.Spec.Current()
	within, prefix, err := subnet(spec, w.subnetName(spec))
	if err != nil {
		return networkv1.InternalAddress{}, false, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for _, entry := range spec.InternalAddresses {
		own := entry.ClusterIncarnation == w.ClusterIncarnation && strings.EqualFold(entry.Subnet, within.Name)
		asked := w.Address.IsValid() && entry.Address == w.Address.String()
		if own && (asked || !w.Address.IsValid() && entry.Service == w.Service) {
			return entry, false, nil
		}
	}
	room, err := survey(spec, Place{ClusterIncarnation: w.ClusterIncarnation, Subnet: within.Name, PodAddresses: 1})
	if err != nil {
		return networkv1.InternalAddress{}, false, err
	}
	address := w.Address
	switch {
	case !address.IsValid():
		free, err := room.addresses(within, prefix, &room.firstNode, 1)
		if err != nil {
			return networkv1.InternalAddress{}, false, err
		}
		address = netip.MustParseAddr(free[0])
	case !network.IsAssignable(prefix, address):
		return networkv1.InternalAddress{}, false, fmt.Errorf("%w: %s is not in subnet %s (%s), or one of the first four or the last of it", ErrUnavailable, address, within.Name, within.CIDR)
	case room.taken[address]:
		return networkv1.InternalAddress{}, false, fmt.Errorf("%w: %s of subnet %s is a node's, a pod's or another cluster's balancer's: choose another one", ErrUnavailable, address, within.Name)
	}
	entry := networkv1.InternalAddress{Address: address.String(), Subnet: within.Name, ClusterIncarnation: w.ClusterIncarnation, Service: w.Service}
	vnet.Spec.InternalAddresses = append(vnet.Spec.InternalAddresses, entry)
	return entry, true, nil
}

// subnetName is the subnet that was asked for, or that of the cluster's first node.
func (w Internal) subnetName(spec networkv1.VirtualNetworkSpec) string {
	if w.Subnet != "" {
		return w.Subnet
	}
	i := slices.IndexFunc(spec.Ports, func(p networkv1.Port) bool { return p.ClusterIncarnation == w.ClusterIncarnation })
	if i < 0 {
		return ""
	}
	return spec.Ports[i].Subnet
}

// ReleaseInternal gives back the addresses of a cluster's services inside a
// network but those that keep says. A network that is gone has none.
func (a Allocator) ReleaseInternal(ctx context.Context, virtual, clusterIncarnation string, keep func(networkv1.InternalAddress) bool) error {
	_, err := a.UpdateNetwork(ctx, virtual, func(vnet *networkv1.VirtualNetwork) (bool, error) {
		before := len(vnet.Spec.InternalAddresses)
		vnet.Spec.InternalAddresses = slices.DeleteFunc(vnet.Spec.InternalAddresses, func(entry networkv1.InternalAddress) bool {
			return entry.ClusterIncarnation == clusterIncarnation && !keep(entry)
		})
		return len(vnet.Spec.InternalAddresses) != before, nil
	})
	return client.IgnoreNotFound(err)
}
