package allocation

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/naming"
)

// conflictAttempts is how often a write is repeated at once when another pool wrote in between.
const conflictAttempts = 5

// Place says where machines of one pool are to be.
type Place struct {
	// ClusterIncarnation is the incarnation of the pool's cluster.
	ClusterIncarnation string
	// Subnet is the name of the subnet of the nodes; empty is the first.
	Subnet string
	// PodSubnet is the name of the subnet that pods have addresses of; empty is Subnet.
	PodSubnet string
	// PodAddresses is how many such addresses each machine takes ahead; 0 gives
	// it a range of its cluster's pod range instead.
	PodAddresses int
}

// EnsurePorts gives each of the machines a place in a virtual network, in one
// write, and returns the network as it then is. A machine that has one keeps it.
func (a Allocator) EnsurePorts(ctx context.Context, network string, place Place, machines []Owner) (*networkv1.VirtualNetwork, error) {
	return a.UpdateNetwork(ctx, network, func(vnet *networkv1.VirtualNetwork) (bool, error) {
		room, err := survey(vnet.Spec.Current(), place)
		if err != nil {
			return false, err
		}
		changed := false
		for _, machine := range machines {
			if FindPort(vnet, machine.Incarnation) != nil {
				continue
			}
			port, err := room.port()
			if err != nil {
				return false, err
			}
			port.MachineName, port.Incarnation, port.ClusterIncarnation = machine.Name, machine.Incarnation, place.ClusterIncarnation
			vnet.Spec.Ports = append(vnet.Spec.Ports, port)
			changed = true
		}
		return changed, nil
	})
}

// ReleasePort takes a machine's place away. A network that is gone has none.
func (a Allocator) ReleasePort(ctx context.Context, network string, machine Owner) error {
	_, err := a.UpdateNetwork(ctx, network, func(vnet *networkv1.VirtualNetwork) (bool, error) {
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

// UpdateNetwork writes what change makes of a network, under its
// resourceVersion, and returns the network as it then is: pools of one cluster
// take their ports side by side, and clusters share networks.
func (a Allocator) UpdateNetwork(ctx context.Context, network string, change func(*networkv1.VirtualNetwork) (bool, error)) (*networkv1.VirtualNetwork, error) {
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
	return nil, fmt.Errorf("writing virtual network %s: %w", network, err)
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
