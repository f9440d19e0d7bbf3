package collector

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	networkapi "berth.dev/berth/api/network/v1alpha1"
)

// owners are all objects that own something, by incarnation. An object that is
// being deleted owns what it has until it is gone.
type owners struct {
	clusters, controlPlanes, machines, networks, backups, disks map[string]bool
	// ports are the incarnations of machines that have a place in a network: a
	// machine that is being made has one before anything else.
	ports map[string]bool
	// pools start the names of the pools' machines.
	pools []string
}

// readOwners reads them from the API server itself.
func readOwners(ctx context.Context, reader client.Reader) (*owners, error) {
	var clusters containerservice.ManagedClusterList
	var pools containerservice.AgentPoolList
	var planes containerservice.ControlPlaneList
	var machines containerservice.MachineList
	var networks networkapi.VirtualNetworkList
	var backups containerservice.BackupList
	var disks containerservice.DiskList
	for _, list := range []client.ObjectList{&clusters, &pools, &planes, &machines, &networks, &backups, &disks} {
		if err := reader.List(ctx, list); err != nil {
			return nil, fmt.Errorf("listing owners: %w", err)
		}
	}
	o := &owners{
		clusters: map[string]bool{}, controlPlanes: map[string]bool{}, machines: map[string]bool{},
		networks: map[string]bool{}, backups: map[string]bool{}, disks: map[string]bool{}, ports: map[string]bool{},
	}
	for _, object := range clusters.Items {
		o.clusters[object.Spec.Incarnation] = true
	}
	for _, object := range planes.Items {
		o.controlPlanes[object.Spec.Incarnation] = true
	}
	for _, object := range machines.Items {
		o.machines[object.Spec.Incarnation] = true
	}
	for _, object := range backups.Items {
		o.backups[object.Spec.Incarnation] = true
	}
	for _, object := range disks.Items {
		o.disks[object.Spec.Incarnation] = true
	}
	for _, object := range networks.Items {
		o.networks[object.Spec.Incarnation] = true
		for _, port := range object.Spec.Ports {
			o.ports[port.Incarnation] = true
		}
	}
	for _, object := range pools.Items {
		o.pools = append(o.pools, nodePrefix(object.Spec.Profile))
	}
	return o, nil
}

// cluster says whether a cluster, or what was made for it, still exists.
func (o *owners) cluster(incarnation string) bool {
	return o.clusters[incarnation] || o.controlPlanes[incarnation] || o.networks[incarnation]
}

// machine says whether a machine exists or is being made.
func (o *owners) machine(incarnation string) bool {
	return o.machines[incarnation] || o.ports[incarnation]
}

// port says whether a place in a network is a machine's, or that of one that
// its pool is about to make or to give up.
func (o *owners) port(machineName, incarnation string) bool {
	if o.machines[incarnation] {
		return true
	}
	for _, prefix := range o.pools {
		if strings.HasPrefix(machineName, prefix) {
			return true
		}
	}
	return false
}
