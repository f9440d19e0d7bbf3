// Package topology reads a virtual network from the hub's objects as a driver of
// network.Fabric takes it: with its load balancers, and with the security groups
// and route tables of its subnets. It must not decide anything.
package topology

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	networkapi "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/management/sieve"
	"berth.dev/berth/internal/network"
)

// Parts are the objects that make up a network beside itself.
type Parts struct {
	// Balancers are the load balancers in it.
	Balancers []networkapi.LoadBalancer
	groups    map[string]*networkapi.NetworkSecurityGroup
	tables    map[string]*networkapi.RouteTable
	// reachable are, by the cluster's incarnation, the addresses that a cluster
	// without a way out reaches.
	reachable map[string][]netip.Addr
}

// Read reads them; dns is the server that nodes resolve with. A security group that a subnet names and that is not there
// is an error: a subnet is never programmed without its rules.
func Read(ctx context.Context, reader client.Reader, object *networkapi.VirtualNetwork, dns netip.Addr) (Parts, error) {
	found := Parts{
		groups: map[string]*networkapi.NetworkSecurityGroup{}, tables: map[string]*networkapi.RouteTable{}, reachable: map[string][]netip.Addr{},
	}
	var balancers networkapi.LoadBalancerList
	if err := reader.List(ctx, &balancers, sieve.Mentioning(object.Name)); err != nil {
		return found, fmt.Errorf("listing the load balancers: %w", err)
	}
	for _, balancer := range balancers.Items {
		if balancer.Spec.VirtualNetworkName == object.Name {
			found.Balancers = append(found.Balancers, balancer)
		}
	}
	for _, subnet := range object.Spec.Subnets {
		if name := subnet.NetworkSecurityGroupName; name != "" && found.groups[name] == nil {
			found.groups[name] = &networkapi.NetworkSecurityGroup{}
			if err := reader.Get(ctx, client.ObjectKey{Name: name}, found.groups[name]); err != nil {
				return found, fmt.Errorf("reading the security group of subnet %s: %w", subnet.Name, err)
			}
		}
		if name := subnet.RouteTableName; name != "" && found.tables[name] == nil {
			found.tables[name] = &networkapi.RouteTable{}
			if err := reader.Get(ctx, client.ObjectKey{Name: name}, found.tables[name]); err != nil {
				return found, fmt.Errorf("reading the route table of subnet %s: %w", subnet.Name, err)
			}
		}
	}
	for _, outbound := range object.Spec.Outbounds {
		if !outbound.Disabled {
			continue
		}
		var err error
		if found.reachable[outbound.ClusterIncarnation], err = reachable(ctx, reader, outbound.ClusterIncarnation, dns); err != nil {
			return found, err
		}
	}
	return found, nil
}

// reachable are the API server of a cluster and the DNS that its nodes resolve with.
func reachable(ctx context.Context, reader client.Reader, incarnation string, dns netip.Addr) ([]netip.Addr, error) {
	addresses := []netip.Addr{dns}
	var controlPlane containerservice.ControlPlane
	err := reader.Get(ctx, client.ObjectKey{Name: incarnation}, &controlPlane)
	if apierrors.IsNotFound(err) {
		return addresses, nil // there is none yet, and the object's coming is followed by the next look
	}
	if err != nil {
		return nil, fmt.Errorf("reading the control plane %s: %w", incarnation, err)
	}
	address, err := netip.ParseAddr(controlPlane.Spec.Address)
	if err != nil {
		return nil, fmt.Errorf("reading the address of control plane %s: %w", incarnation, err)
	}
	return append(addresses, address), nil
}

// Applied names the security groups and route tables, in the order of their names.
func (p Parts) Applied() []networkapi.AppliedObject {
	var all []networkapi.AppliedObject
	for _, group := range p.groups {
		all = append(all, networkapi.AppliedObject{Kind: "NetworkSecurityGroup", Name: group.Name, UID: string(group.UID), Generation: group.Generation})
	}
	for _, table := range p.tables {
		all = append(all, networkapi.AppliedObject{Kind: "RouteTable", Name: table.Name, UID: string(table.UID), Generation: table.Generation})
	}
	slices.SortFunc(all, func(a, b networkapi.AppliedObject) int {
		if a.Kind != b.Kind {
			return strings.Compare(a.Kind, b.Kind)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}

// Network is the network as the driver takes it; spec is a current one.
func (p Parts) Network(spec networkapi.VirtualNetworkSpec) (network.Network, error) {
	out := network.Network{ID: spec.Incarnation}
	var errs []error
	for _, text := range spec.AddressSpace {
		out.AddressSpace = append(out.AddressSpace, parsed(&errs, netip.ParsePrefix, text))
	}
	for _, pods := range spec.PodCIDRs {
		out.PodRanges = append(out.PodRanges, parsed(&errs, netip.ParsePrefix, pods.CIDR))
	}
	for _, s := range spec.Subnets {
		subnet, err := p.desiredSubnet(s)
		errs, out.Subnets = append(errs, err), append(out.Subnets, subnet)
	}
	for _, o := range spec.Outbounds {
		outbound := network.Outbound{
			ID: o.ClusterIncarnation, PortsPerNode: int(o.PortsPerNode), Disabled: o.Disabled, Reachable: p.reachable[o.ClusterIncarnation],
		}
		for _, text := range o.Addresses {
			outbound.Addresses = append(outbound.Addresses, parsed(&errs, netip.ParseAddr, text))
		}
		if len(outbound.Addresses) > 0 { // a cluster's addresses come later than its network
			out.Outbounds = append(out.Outbounds, outbound)
		}
	}
	for _, s := range spec.Ports {
		port, err := Port(s)
		if _, leaves := out.Outbound(port.Outbound); !leaves {
			port.Outbound = ""
		}
		errs, out.Ports = append(errs, err), append(out.Ports, port)
	}
	for _, balancer := range p.Balancers {
		if !balancer.DeletionTimestamp.IsZero() {
			continue
		}
		for _, f := range balancer.Spec.Frontends {
			frontend, err := desiredFrontend(f)
			errs, out.Frontends = append(errs, err), append(out.Frontends, frontend)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return network.Network{}, fmt.Errorf("reading the virtual network: %w", err)
	}
	return out, nil
}

// desiredSubnet is a subnet with the rules of its group, which Azure's default
// rules follow, and the routes of its table.
func (p Parts) desiredSubnet(s networkapi.Subnet) (network.Subnet, error) {
	var errs []error
	out := network.Subnet{Name: s.Name, Range: parsed(&errs, netip.ParsePrefix, s.CIDR)}
	if group := p.groups[s.NetworkSecurityGroupName]; group != nil {
		for _, r := range group.Spec.Rules {
			rule, err := desiredSecurityRule(r)
			errs, out.Rules = append(errs, err), append(out.Rules, rule)
		}
		if group.Spec.ManagedBy != "" {
			out.Rules = append(out.Rules, network.AllowBalanced())
		}
		out.Rules = append(out.Rules, network.DefaultSecurityRules()...)
	}
	if table := p.tables[s.RouteTableName]; table != nil {
		for _, r := range table.Spec.Routes {
			route := network.Route{Name: r.Name, Prefix: parsed(&errs, netip.ParsePrefix, r.Prefix), Hop: network.HopType(r.NextHopType)}
			if r.NextHopIP != "" {
				route.Address = parsed(&errs, netip.ParseAddr, r.NextHopIP)
			}
			out.Routes = append(out.Routes, route)
		}
	}
	return out, errors.Join(errs...)
}

func desiredSecurityRule(r networkapi.SecurityRule) (network.SecurityRule, error) {
	protocol := map[string]string{"Tcp": network.ProtocolTCP, "Udp": network.ProtocolUDP, "Icmp": network.ProtocolICMP}[r.Protocol]
	if protocol == "" && r.Protocol != "*" {
		return network.SecurityRule{}, fmt.Errorf("security rule %s has the protocol %q, which no router knows", r.Name, r.Protocol)
	}
	sources, sourceErr := network.ParsePeers(r.SourcePrefixes)
	destinations, destinationErr := network.ParsePeers(r.DestinationPrefixes)
	sourcePorts, sourcePortErr := network.ParsePortRanges(r.SourcePorts)
	destinationPorts, destinationPortErr := network.ParsePortRanges(r.DestinationPorts)
	if err := errors.Join(sourceErr, destinationErr, sourcePortErr, destinationPortErr); err != nil {
		return network.SecurityRule{}, fmt.Errorf("reading security rule %s: %w", r.Name, err)
	}
	return network.SecurityRule{
		Name: r.Name, Priority: int(r.Priority), Direction: network.Direction(r.Direction), Allow: r.Access == "Allow", Protocol: protocol,
		Sources: sources, Destinations: destinations, SourcePorts: sourcePorts, DestinationPorts: destinationPorts,
	}, nil
}

// Port is a port of a current spec; its cluster's way out is its own.
func Port(p networkapi.Port) (network.Port, error) {
	var errs []error
	out := network.Port{
		ID: p.Incarnation, Subnet: p.Subnet, Address: parsed(&errs, netip.ParseAddr, p.Address), Outbound: p.ClusterIncarnation,
	}
	if p.PodCIDR != "" {
		out.PodRange = parsed(&errs, netip.ParsePrefix, p.PodCIDR)
	}
	for _, text := range p.PodAddresses {
		out.PodAddresses = append(out.PodAddresses, parsed(&errs, netip.ParseAddr, text))
	}
	if err := errors.Join(errs...); err != nil {
		return network.Port{}, fmt.Errorf("reading the port of machine %s: %w", p.MachineName, err)
	}
	return out, nil
}

// parsed is what parse makes of a text; an error joins the others.
func parsed[T any](errs *[]error, parse func(string) (T, error), text string) T {
	value, err := parse(text)
	if err != nil {
		*errs = append(*errs, err)
	}
	return value
}

// desiredFrontend is a frontend as the driver takes it.
func desiredFrontend(f networkapi.Frontend) (network.Frontend, error) {
	var errs []error
	desired := network.Frontend{
		Name: f.Service, Address: parsed(&errs, netip.ParseAddr, f.Address), Internal: f.Internal, SilentOnIdle: f.SilentOnIdle,
		IdleTimeout: time.Duration(f.IdleTimeoutSeconds) * time.Second, Affinity: time.Duration(f.AffinitySeconds) * time.Second,
		HealthPort: uint16(f.HealthCheckNodePort),
	}
	for _, rule := range f.Rules {
		desired.Rules = append(desired.Rules, network.Rule{Protocol: rule.Protocol, Port: uint16(rule.Port), NodePort: uint16(rule.NodePort)})
	}
	for _, backend := range f.Backends {
		desired.Backends = append(desired.Backends, parsed(&errs, netip.ParseAddr, backend))
	}
	for _, r := range f.SourceRanges {
		desired.SourceRanges = append(desired.SourceRanges, parsed(&errs, netip.ParsePrefix, r))
	}
	if err := errors.Join(errs...); err != nil {
		return network.Frontend{}, fmt.Errorf("reading the frontend of service %s: %w", f.Service, err)
	}
	return desired, nil
}
