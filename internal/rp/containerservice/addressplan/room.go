// Package addressplan says how many addresses the pools of clusters take of the
// ranges that they live in. It is pure: it reads and writes nothing. Nodes that
// come in addition while others are replaced count, because an upgrade that finds
// no room halfway helps nobody.
package addressplan

import (
	"net/netip"
	"strings"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/network"
)

// PodRange is the name of the range that pods have addresses of where they are
// not a subnet's, as AKS calls it in its errors.
const PodRange = "networkProfile.podCIDR"

// podRangeSize is how many addresses a node takes of a pod range.
const podRangeSize = 1 << (32 - network.MachinePodRangeBits)

// Range is a range with a limited number of addresses.
type Range struct {
	// ID is the ARM id of a subnet in lower case, empty for what is the cluster's own.
	ID string
	// Name and Prefix are for people.
	Name   string
	Prefix netip.Prefix
	// Capacity is how many addresses it has to give.
	Capacity int
}

// Plan is where the pools of one cluster have their addresses from.
type Plan struct {
	cluster *v1alpha1.ManagedCluster
	// joined is the network that it lives in beside others; empty if it has its own.
	joined networkv1.VirtualNetworkSpec
}

// Of is the plan of a cluster that joined a network, or of one with its own.
func Of(cluster *v1alpha1.ManagedCluster, joined networkv1.VirtualNetworkSpec) Plan {
	return Plan{cluster: cluster, joined: joined}
}

// Nodes is how many nodes a pool has at its most.
func Nodes(pool *v1alpha1.AgentPoolProfile) int {
	if pool.Count <= 0 {
		return 0
	}
	return int(pool.Count + pool.UpgradeSettings.Surge(pool.Count))
}

// NodesOf is how many nodes all pools have at their most.
func NodesOf(cluster *v1alpha1.ManagedCluster) (nodes int) {
	for i := range cluster.Spec.AgentPools {
		nodes += Nodes(&cluster.Spec.AgentPools[i])
	}
	return nodes
}

// Taken is how many addresses of a subnet, by its id, the pools of a cluster take.
func Taken(cluster *v1alpha1.ManagedCluster, subnetID string) (addresses int) {
	flat := cluster.Spec.Network.FlatPods()
	for i := range cluster.Spec.AgentPools {
		pool := &cluster.Spec.AgentPools[i]
		nodes, pods := Nodes(pool), 0
		if flat {
			pods = nodes * int(pool.MaxPods)
		}
		if strings.EqualFold(pool.VNetSubnetID, subnetID) {
			addresses += nodes
			if pool.PodSubnetID == "" {
				addresses += pods
			}
		}
		if pool.PodSubnetID != "" && strings.EqualFold(pool.PodSubnetID, subnetID) {
			addresses += pods
		}
	}
	return addresses
}

// Ranges are what the cluster's pools take addresses of, each once.
func (p Plan) Ranges() []Range {
	spec := p.cluster.Spec.Network
	var ranges []Range
	if !spec.Joins() {
		ranges = append(ranges, ofSubnet("", networkv1.DefaultSubnet, spec.NodeCIDR)...)
	}
	seen := map[string]bool{}
	for _, pool := range p.cluster.Spec.AgentPools {
		for _, id := range []string{pool.VNetSubnetID, pool.PodSubnetID} {
			id = strings.ToLower(id)
			if id == "" || seen[id] {
				continue
			}
			seen[id] = true
			for _, subnet := range p.joined.Subnets {
				if strings.HasSuffix(id, "/"+strings.ToLower(subnet.Name)) {
					ranges = append(ranges, ofSubnet(id, subnet.Name, subnet.CIDR)...)
				}
			}
		}
	}
	return ranges
}

func ofSubnet(id, name, cidr string) []Range {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return nil // whoever wrote it has checked it
	}
	return []Range{{ID: id, Name: name, Prefix: prefix, Capacity: network.SubnetCapacity(prefix)}}
}

// Shortage is a range that has not enough addresses.
type Shortage struct {
	Range
	// Needed are the addresses that the cluster would take, Available those that
	// other clusters leave.
	Needed, Available int
}

// Check finds what a change of a cluster asks of ranges beyond what they have.
// old is nil for a new cluster, others are all other clusters. What does not grow
// is never short: a cluster in a range that shrank can still be scaled in.
func (p Plan) Check(old *v1alpha1.ManagedCluster, others []v1alpha1.ManagedCluster) []Shortage {
	var short []Shortage
	for _, within := range p.Ranges() {
		needed, before, available := Taken(p.cluster, within.ID), 0, within.Capacity-p.balanced(within)
		if old != nil {
			before = Taken(old, within.ID)
		}
		for i := range others {
			if within.ID != "" && others[i].Name != p.cluster.Name {
				available -= Taken(&others[i], within.ID)
			}
		}
		if needed > before && needed > available {
			short = append(short, Shortage{Range: within, Needed: needed, Available: max(available, 0)})
		}
	}
	return append(short, p.checkPodRange(old)...)
}

// balanced is how many addresses of a subnet internal balancers answer on.
func (p Plan) balanced(within Range) (addresses int) {
	for _, taken := range p.joined.InternalAddresses {
		if strings.EqualFold(taken.Subnet, within.Name) {
			addresses++
		}
	}
	return addresses
}

func (p Plan) checkPodRange(old *v1alpha1.ManagedCluster) []Shortage {
	prefix, err := netip.ParsePrefix(p.cluster.Spec.Network.PodCIDR)
	if err != nil {
		return nil // pods have addresses of a subnet, or the range is wrong, which is told elsewhere
	}
	needed, before := NodesOf(p.cluster), 0
	if old != nil {
		before = NodesOf(old)
	}
	capacity := network.PodRangeCapacity(prefix)
	if needed <= before || needed <= capacity {
		return nil
	}
	return []Shortage{{
		Range:  Range{Name: PodRange, Prefix: prefix, Capacity: capacity * podRangeSize},
		Needed: needed * podRangeSize, Available: 1 << (32 - prefix.Bits()),
	}}
}
