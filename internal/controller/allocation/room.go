package allocation

import (
	"fmt"
	"net/netip"
	"strings"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/network"
)

// room is what is free of a virtual network for the machines of one place.
type room struct {
	place Place
	// nodes is the subnet of the nodes, pods that of the pods where they have
	// addresses of one: the same unless podsApart.
	nodes, pods          networkv1.Subnet
	nodeRange, podSubnet netip.Prefix
	flatPods, podsApart  bool
	// podRange is what ranges of pods are cut from otherwise.
	podRange netip.Prefix
	// taken and takenPods are what others have.
	taken     map[netip.Addr]bool
	takenPods []netip.Prefix
	// firstNode and firstOfPod are below which no address of the two subnets is free.
	firstNode, firstOfPod netip.Addr
}

// survey reads what the ports of a network, and its balancers, leave free. A
// port of any cluster counts: they share the subnets.
func survey(spec networkv1.VirtualNetworkSpec, place Place) (*room, error) {
	r := &room{place: place, taken: map[netip.Addr]bool{}, flatPods: place.PodAddresses > 0}
	var err error
	if r.nodes, r.nodeRange, err = subnet(spec, place.Subnet); err != nil {
		return nil, err
	}
	if r.flatPods {
		r.pods, r.podSubnet = r.nodes, r.nodeRange
		if r.podsApart = place.PodSubnet != "" && !strings.EqualFold(place.PodSubnet, r.nodes.Name); r.podsApart {
			if r.pods, r.podSubnet, err = subnet(spec, place.PodSubnet); err != nil {
				return nil, err
			}
		}
	} else if r.podRange, err = podRange(spec, place.ClusterIncarnation); err != nil {
		return nil, err
	}
	for _, internal := range spec.InternalAddresses {
		address, err := netip.ParseAddr(internal.Address)
		if err != nil {
			return nil, fmt.Errorf("reading the address of service %s: %w", internal.Service, err)
		}
		r.taken[address] = true
	}
	for _, port := range spec.Ports {
		if err := r.take(port); err != nil {
			return nil, fmt.Errorf("reading the port of %s: %w", port.MachineName, err)
		}
	}
	return r, nil
}

// take marks what a port has.
func (r *room) take(port networkv1.Port) error {
	for _, text := range append([]string{port.Address}, port.PodAddresses...) {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return err
		}
		r.taken[address] = true
	}
	if port.PodCIDR == "" {
		return nil
	}
	pods, err := netip.ParsePrefix(port.PodCIDR)
	r.takenPods = append(r.takenPods, pods)
	return err
}

// port takes the lowest that is free for one more machine.
func (r *room) port() (networkv1.Port, error) {
	nodes, err := r.addresses(r.nodes, r.nodeRange, &r.firstNode, 1)
	if err != nil {
		return networkv1.Port{}, err
	}
	port := networkv1.Port{Subnet: r.nodes.Name, Address: nodes[0]}
	if !r.flatPods {
		pods, err := network.AllocatePodRange(r.podRange, r.takenPods)
		if err != nil {
			return networkv1.Port{}, err
		}
		port.PodCIDR = pods.String()
		r.takenPods = append(r.takenPods, pods)
		return port, nil
	}
	first := &r.firstNode
	if r.podsApart {
		port.PodSubnet, first = r.pods.Name, &r.firstOfPod
	}
	port.PodAddresses, err = r.addresses(r.pods, r.podSubnet, first, r.place.PodAddresses)
	return port, err
}

// addresses takes the lowest free ones of a subnet. from is below which none is
// free, so that many machines in one write look at each address once.
func (r *room) addresses(of networkv1.Subnet, within netip.Prefix, from *netip.Addr, n int) ([]string, error) {
	found, next, err := network.AllocateAddresses(within, *from, r.taken, n)
	if err != nil {
		return nil, fmt.Errorf("taking addresses of subnet %s: %w", of.Name, err)
	}
	*from = next
	texts := make([]string, 0, n)
	for _, address := range found {
		r.taken[address] = true
		texts = append(texts, address.String())
	}
	return texts, nil
}

// subnet finds a subnet by its name; none is the first.
func subnet(spec networkv1.VirtualNetworkSpec, name string) (networkv1.Subnet, netip.Prefix, error) {
	for _, subnet := range spec.Subnets {
		if name != "" && !strings.EqualFold(subnet.Name, name) {
			continue
		}
		prefix, err := netip.ParsePrefix(subnet.CIDR)
		if err != nil {
			err = fmt.Errorf("reading the range of subnet %s: %w", subnet.Name, err)
		}
		return subnet, prefix, err
	}
	return networkv1.Subnet{}, netip.Prefix{}, fmt.Errorf("the virtual network has no subnet %q", name)
}

// podRange is the range that a cluster's nodes have their pod ranges of.
func podRange(spec networkv1.VirtualNetworkSpec, clusterIncarnation string) (netip.Prefix, error) {
	for _, pods := range spec.PodCIDRs {
		if pods.ClusterIncarnation != clusterIncarnation {
			continue
		}
		prefix, err := netip.ParsePrefix(pods.CIDR)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("reading the pod range: %w", err)
		}
		return prefix, nil
	}
	return netip.Prefix{}, fmt.Errorf("the virtual network has no pod range for the cluster %s", clusterIncarnation)
}
