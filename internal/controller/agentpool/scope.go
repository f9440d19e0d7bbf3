package agentpool

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/management/sieve"
	"berth.dev/berth/internal/naming"
)

// indexDigits is the length of a node name's index, in base 36.
const indexDigits = 6

// scope is what the phases of one Reconcile know and hand on.
type scope struct {
	pool *v1alpha1.AgentPool
	now  time.Time
	// readyTimeout is how long a new node has to become Ready.
	readyTimeout time.Duration
	// cluster and network are nil when they are gone, or not there yet.
	cluster *v1alpha1.ManagedCluster
	network *networkv1.VirtualNetwork
	// slots are the places of all machines of the pool, by index. The phases
	// keep them up to date.
	slots []*slot
	// next is when to look again at the latest; 0 for never.
	next time.Duration
}

// count is how many machines the pool should have.
func (s *scope) count() int {
	if s.pool.DeletionTimestamp != nil || s.cluster == nil || s.cluster.DeletionTimestamp != nil {
		return 0
	}
	return int(s.pool.Spec.Profile.Count)
}

// readScope reads machines and ports from the API server itself: what a cache
// has not seen yet would be made twice. Machines come first: one that goes gives
// its port back before it is gone, and a port without a machine is one of which a
// machine is still to be made.
func readScope(ctx context.Context, c client.Client, reader client.Reader, pool *v1alpha1.AgentPool) (*scope, error) {
	s := &scope{pool: pool}
	cluster := &v1alpha1.ManagedCluster{}
	key := client.ObjectKey{Name: pool.Spec.ClusterName}
	err := c.Get(ctx, key, cluster)
	// Machines go without their cluster, and come although an operation was aborted:
	// a cache is not believed that far.
	if apierrors.IsNotFound(err) || err == nil && cluster.Generation < pool.Spec.ClusterGeneration {
		cluster = &v1alpha1.ManagedCluster{}
		err = reader.Get(ctx, key, cluster)
	}
	switch {
	case err == nil:
		s.cluster = cluster
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("reading the cluster: %w", err)
	}
	var machines v1alpha1.MachineList
	if err := reader.List(ctx, &machines, sieve.Mentioning(pool.Name)); err != nil {
		return nil, fmt.Errorf("listing machines: %w", err)
	}
	for i := range machines.Items {
		if machine := &machines.Items[i]; machine.Spec.AgentPoolName == pool.Name {
			s.slots = append(s.slots, &slot{
				owner: allocation.Owner{Name: machine.Name, Incarnation: machine.Spec.Incarnation},
				index: machine.Spec.Index, nodeName: machine.Spec.NodeName, machine: machine,
			})
		}
	}
	if s.cluster != nil {
		network := &networkv1.VirtualNetwork{}
		switch err := reader.Get(ctx, client.ObjectKey{Name: networkName(s.cluster)}, network); {
		case err == nil:
			s.network = network
		case client.IgnoreNotFound(err) != nil:
			return nil, fmt.Errorf("reading the virtual network: %w", err)
		}
	}
	s.readPorts()
	return s, nil
}

// networkName is the name of the virtual network of a cluster.
func networkName(cluster *v1alpha1.ManagedCluster) string {
	return naming.VirtualNetwork(cluster.Spec.Network.VirtualNetworkID, cluster.Spec.Incarnation)
}

// readPorts adds the ports of the pool's machines, and slots for those whose
// Machine does not exist.
func (s *scope) readPorts() {
	if s.network == nil {
		return
	}
	for i := range s.network.Spec.Ports {
		port := &s.network.Spec.Ports[i]
		nodeName, index, ok := s.parse(port)
		if !ok {
			continue
		}
		at := slices.IndexFunc(s.slots, func(o *slot) bool { return o.owner.Incarnation == port.Incarnation })
		if at < 0 {
			s.slots = append(s.slots, &slot{
				owner: allocation.Owner{Name: port.MachineName, Incarnation: port.Incarnation},
				index: index, nodeName: nodeName,
			})
			at = len(s.slots) - 1
		}
		s.slots[at].port = port
	}
	slices.SortFunc(s.slots, func(a, b *slot) int { return int(a.index - b.index) })
}

// parse tells whether a port is of this pool, by the name that nodeName and
// machineName made.
func (s *scope) parse(port *networkv1.Port) (nodeName string, index int32, ok bool) {
	first := s.nodeName(0)
	nodeName, ok = strings.CutSuffix(port.MachineName, "-"+port.Incarnation)
	if !ok || port.ClusterIncarnation != "" && port.ClusterIncarnation != s.cluster.Spec.Incarnation || len(nodeName) != len(first) || !strings.HasPrefix(nodeName, first[:len(first)-indexDigits]) {
		return "", 0, false
	}
	parsed, err := strconv.ParseInt(nodeName[len(nodeName)-indexDigits:], 36, 32)
	return nodeName, int32(parsed), err == nil
}

func (s *scope) nodeName(index int32) string {
	profile := s.pool.Spec.Profile
	return naming.NodeName(profile.Name, profile.Incarnation, index)
}

// freeIndex is the lowest that no slot has: a node's name is not used again
// before the last one of that name is gone.
func (s *scope) freeIndex() int32 {
	for index := int32(0); ; index++ {
		if !slices.ContainsFunc(s.slots, func(o *slot) bool { return o.index == index }) {
			return index
		}
	}
}

// wanted are the slots that count, by index.
func (s *scope) wanted() []*slot {
	var wanted []*slot
	for _, slot := range s.slots {
		if slot.wanted() {
			wanted = append(wanted, slot)
		}
	}
	return wanted
}

// forget drops a slot of which nothing is left.
func (s *scope) forget(gone *slot) {
	s.slots = slices.DeleteFunc(s.slots, func(o *slot) bool { return o == gone })
}
