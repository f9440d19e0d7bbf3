package collector

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	hostapi "berth.dev/berth/api/host/v1alpha1"
	networkapi "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/naming"
)

// The kinds of things, as the log and the metric name them.
const (
	kindMachine      = "machine"
	kindControlPlane = "control plane"
	kindEndpoint     = "endpoint"
	kindNetwork      = "network"
	kindAddress      = "public address"
	kindIDRange      = "id range"
	kindPort         = "port"
	kindSecret       = "secret"
	kindBackup       = "backup"
	kindDisk         = "disk"
)

// edgeOwner owns the addresses of the edge, which no object stands for.
const edgeOwner = "edge"

// find lists everything that has to have an owner: machines first, and networks
// and endpoints after what runs in them.
func (c *Collector) find(ctx context.Context) ([]found, error) {
	var all []found
	for _, list := range []func(context.Context) ([]found, error){
		c.machines, c.controlPlanes, c.networks, c.addresses, c.idRanges, c.ports, c.secrets, c.backups, c.disks,
	} {
		some, err := list(ctx)
		if err != nil {
			return nil, fmt.Errorf("looking for what nobody owns: %w", err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// incarnation says whether a name is one that is chosen at random for one life
// of one object. What has another name was not made for an object.
func incarnation(name string) bool {
	return regexp.MustCompile(`^[a-z][a-z2-7]{9}$`).MatchString(name)
}

func (c *Collector) machines(ctx context.Context) ([]found, error) {
	ids, err := c.config.Provider.List(ctx)
	return onHost(kindMachine, ids, func(o *owners, id string) bool { return o.machines[id] }, c.config.Provider.Delete), err
}

func (c *Collector) controlPlanes(ctx context.Context) ([]found, error) {
	ids, err := c.config.Runtime.List(ctx)
	return onHost(kindControlPlane, ids, func(o *owners, id string) bool { return o.controlPlanes[id] }, c.config.Runtime.Delete), err
}

func (c *Collector) networks(ctx context.Context) ([]found, error) {
	endpoints, networks, err := c.config.Fabric.List(ctx)
	return append(
		onHost(kindEndpoint, endpoints, func(o *owners, id string) bool { return o.controlPlanes[id] }, c.removeEndpoint),
		onHost(kindNetwork, networks, func(o *owners, id string) bool { return o.networks[id] }, c.config.Fabric.DeleteNetwork)...,
	), err
}

func (c *Collector) backups(context.Context) ([]found, error) {
	ids, err := c.config.Backups.List()
	return onHost(kindBackup, ids, func(o *owners, id string) bool { return o.backups[id] }, c.config.Backups.Remove), err
}

func (c *Collector) disks(ctx context.Context) ([]found, error) {
	ids, err := c.config.Disks.ListDisks(ctx)
	return onHost(kindDisk, ids, func(o *owners, id string) bool { return o.disks[id] }, c.config.Disks.DeleteDisk), err
}

// removeEndpoint removes an endpoint in which no control plane is left.
func (c *Collector) removeEndpoint(ctx context.Context, id string) error {
	planes, err := c.config.Runtime.List(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(planes, id) {
		return controlplane.ErrInProgress
	}
	return c.config.Fabric.DeleteEndpoint(ctx, id)
}

// onHost are things of a driver.
func onHost(kind string, ids []string, owned func(*owners, string) bool, remove func(context.Context, string) error) []found {
	var all []found
	for _, id := range ids {
		if !incarnation(id) {
			continue
		}
		all = append(all, found{
			thing:  thing{kind, id},
			owned:  func(o *owners) bool { return owned(o, id) },
			remove: func(ctx context.Context) error { return remove(ctx, id) },
		})
	}
	return all
}

func (c *Collector) addresses(ctx context.Context) ([]found, error) {
	var list networkapi.PublicIPAddressList
	err := c.config.Reader.List(ctx, &list)
	var all []found
	for i := range list.Items {
		claim := &list.Items[i]
		if claim.Spec.OwnerName == edgeOwner || !incarnation(claim.Spec.OwnerIncarnation) {
			continue
		}
		all = append(all, c.object(kindAddress, claim, func(o *owners) bool { return o.cluster(claim.Spec.OwnerIncarnation) }))
	}
	return all, err
}

func (c *Collector) idRanges(ctx context.Context) ([]found, error) {
	var list hostapi.IDRangeList
	err := c.config.Reader.List(ctx, &list)
	var all []found
	for i := range list.Items {
		claim := &list.Items[i]
		if !incarnation(claim.Spec.OwnerIncarnation) {
			continue
		}
		all = append(all, c.object(kindIDRange, claim, func(o *owners) bool {
			return o.cluster(claim.Spec.OwnerIncarnation) || o.machine(claim.Spec.OwnerIncarnation)
		}))
	}
	return all, err
}

// object is a thing in the management API. It is removed only as the very
// object that was seen: its name may have been taken by another meanwhile.
func (c *Collector) object(kind string, object client.Object, owned func(*owners) bool) found {
	return found{
		thing: thing{kind, object.GetName() + "/" + string(object.GetUID())},
		owned: owned,
		remove: func(ctx context.Context) error {
			uid := object.GetUID()
			return client.IgnoreNotFound(c.config.Client.Delete(ctx, object, client.Preconditions{UID: &uid}))
		},
	}
}

func (c *Collector) ports(ctx context.Context) ([]found, error) {
	var list networkapi.VirtualNetworkList
	err := c.config.Reader.List(ctx, &list)
	allocator := allocation.Allocator{Client: c.config.Client, Reader: c.config.Reader}
	var all []found
	for _, virtual := range list.Items {
		for _, port := range virtual.Spec.Ports {
			all = append(all, found{
				thing: thing{kindPort, virtual.Name + "/" + port.MachineName},
				owned: func(o *owners) bool { return o.port(port.MachineName, port.Incarnation) },
				remove: func(ctx context.Context) error {
					return allocator.ReleasePort(ctx, virtual.Name, allocation.Owner{Name: port.MachineName, Incarnation: port.Incarnation})
				},
			})
		}
	}
	return all, err
}

// secrets are those of clusters and of machines. All others are the service's own.
func (c *Collector) secrets(ctx context.Context) ([]found, error) {
	var list corev1.SecretList
	err := c.config.Reader.List(ctx, &list, client.InNamespace(naming.SystemNamespace))
	var all []found
	for i := range list.Items {
		secret := &list.Items[i]
		if id, is := strings.CutSuffix(secret.Name, naming.Credentials("")); is && incarnation(id) {
			all = append(all, c.object(kindSecret, secret, func(o *owners) bool { return o.cluster(id) }))
			continue
		}
		id := secret.Name[strings.LastIndexByte(secret.Name, '-')+1:]
		if strings.HasPrefix(secret.Name, machinePrefix) && incarnation(id) {
			all = append(all, c.object(kindSecret, secret, func(o *owners) bool { return o.machine(id) }))
		}
	}
	return all, err
}

// machinePrefix starts the name of every machine.
const machinePrefix = "aks-"

// nodePrefix starts the names of a pool's machines: all of a node's name but
// its index.
func nodePrefix(pool containerservice.AgentPoolProfile) string {
	first := naming.NodeName(pool.Name, pool.Incarnation, 0)
	return strings.TrimRight(first, "0")
}
