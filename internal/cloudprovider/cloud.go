// Package cloudprovider is what a cluster's cloud is to Kubernetes: it answers
// the questions of k8s.io/cloud-provider (which instance is behind a node, where it
// is, which routes and balancers there are) out of the management API, for one
// cluster. It changes nothing there: instances, routes and balancers are made by
// the controllers that own them, and the calls that would make some say so. See
// docs/design/cloud-provider.md.
package cloudprovider

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	upstream "k8s.io/cloud-provider"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
)

// Name is the provider's, with which the providerID of every node begins, as on AKS.
const Name = "azure"

// Cloud is the cloud of one cluster.
type Cloud struct {
	// Reader reads the management API.
	Reader client.Reader
	// ClusterName is the ManagedCluster, and Incarnation that of the cluster.
	ClusterName, Incarnation string
}

// New is the cloud of a cluster.
func New(reader client.Reader, cluster *containerservicev1.ManagedCluster) *Cloud {
	return &Cloud{Reader: reader, ClusterName: cluster.Name, Incarnation: cluster.Spec.Incarnation}
}

var (
	_ upstream.Interface    = (*Cloud)(nil)
	_ upstream.InstancesV2  = (*Cloud)(nil)
	_ upstream.Routes       = (*Cloud)(nil)
	_ upstream.LoadBalancer = (*Cloud)(nil)
)

// Initialize implements upstream.Interface; there is nothing to start.
func (c *Cloud) Initialize(upstream.ControllerClientBuilder, <-chan struct{}) {}

// LoadBalancer implements upstream.Interface.
func (c *Cloud) LoadBalancer() (upstream.LoadBalancer, bool) { return c, true }

// Instances implements upstream.Interface; InstancesV2 took its place.
func (c *Cloud) Instances() (upstream.Instances, bool) { return nil, false }

// InstancesV2 implements upstream.Interface.
func (c *Cloud) InstancesV2() (upstream.InstancesV2, bool) { return c, true }

// Zones implements upstream.Interface; InstancesV2 tells them.
func (c *Cloud) Zones() (upstream.Zones, bool) { return nil, false }

// Clusters implements upstream.Interface.
func (c *Cloud) Clusters() (upstream.Clusters, bool) { return nil, false }

// Routes implements upstream.Interface.
func (c *Cloud) Routes() (upstream.Routes, bool) { return c, true }

// ProviderName implements upstream.Interface.
func (c *Cloud) ProviderName() string { return Name }

// HasClusterID implements upstream.Interface.
func (c *Cloud) HasClusterID() bool { return true }

// InstanceExists says whether a machine stands behind a node.
func (c *Cloud) InstanceExists(ctx context.Context, node *corev1.Node) (bool, error) {
	machine, err := c.machine(ctx, node)
	return machine != nil, err
}

// InstanceShutdown says whether the machine behind a node is stopped.
func (c *Cloud) InstanceShutdown(ctx context.Context, node *corev1.Node) (bool, error) {
	machine, err := c.machine(ctx, node)
	return machine != nil && machine.Spec.PowerState == meta.PowerStopped, err
}

// InstanceMetadata is what the cloud knows of the machine behind a node;
// upstream.InstanceNotFound if there is none.
func (c *Cloud) InstanceMetadata(ctx context.Context, node *corev1.Node) (*upstream.InstanceMetadata, error) {
	machine, err := c.machine(ctx, node)
	if err != nil {
		return nil, err
	}
	if machine == nil {
		return nil, upstream.InstanceNotFound
	}
	return Metadata(machine), nil
}

// Metadata is what the cloud knows of a machine.
func Metadata(machine *containerservicev1.Machine) *upstream.InstanceMetadata {
	return &upstream.InstanceMetadata{
		ProviderID:   machine.Spec.ProviderID,
		InstanceType: machine.Spec.Labels[corev1.LabelInstanceTypeStable],
		NodeAddresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: machine.Spec.Address}, {Type: corev1.NodeHostName, Address: machine.Spec.NodeName},
		},
		Zone: machine.Spec.Labels[corev1.LabelTopologyZone], Region: machine.Spec.Labels[corev1.LabelTopologyRegion],
	}
}

// machine is the one behind a node, by the node's providerID or, before it has
// one, its name; nil if there is none.
func (c *Cloud) machine(ctx context.Context, node *corev1.Node) (*containerservicev1.Machine, error) {
	var machines containerservicev1.MachineList
	if err := c.Reader.List(ctx, &machines); err != nil {
		return nil, fmt.Errorf("listing machines: %w", err)
	}
	for i := range machines.Items {
		machine := &machines.Items[i]
		if machine.Spec.ClusterName != c.ClusterName {
			continue
		}
		if node.Spec.ProviderID == "" && machine.Spec.NodeName == node.Name || node.Spec.ProviderID != "" && strings.EqualFold(machine.Spec.ProviderID, node.Spec.ProviderID) {
			return machine, nil
		}
	}
	return nil, nil
}

// ListRoutes are the pod ranges that the virtual network routes to the cluster's nodes.
func (c *Cloud) ListRoutes(ctx context.Context, _ string) ([]*upstream.Route, error) {
	balancer, err := c.balancer(ctx)
	if err != nil || balancer == nil {
		return nil, err
	}
	vnet := &networkv1.VirtualNetwork{}
	if err := c.Reader.Get(ctx, client.ObjectKey{Name: balancer.Spec.VirtualNetworkName}, vnet); err != nil {
		return nil, fmt.Errorf("reading the virtual network: %w", err)
	}
	var machines containerservicev1.MachineList
	if err := c.Reader.List(ctx, &machines); err != nil {
		return nil, fmt.Errorf("listing machines: %w", err)
	}
	nodes := map[string]string{}
	for _, machine := range machines.Items {
		nodes[machine.Name] = machine.Spec.NodeName
	}
	var routes []*upstream.Route
	for _, port := range vnet.Spec.Current().Ports {
		if port.ClusterIncarnation == c.Incarnation && port.PodCIDR != "" && nodes[port.MachineName] != "" {
			routes = append(routes, &upstream.Route{
				Name: port.MachineName, TargetNode: types.NodeName(nodes[port.MachineName]), DestinationCIDR: port.PodCIDR,
				TargetNodeAddresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: port.Address}},
			})
		}
	}
	return routes, nil
}

// CreateRoute refuses: a node's route is made with its place in the network.
func (c *Cloud) CreateRoute(context.Context, string, string, *upstream.Route) error {
	return upstream.ImplementedElsewhere
}

// DeleteRoute refuses: a node's route goes with its place in the network.
func (c *Cloud) DeleteRoute(context.Context, string, *upstream.Route) error {
	return upstream.ImplementedElsewhere
}

// GetLoadBalancer is what the balancer answers a service on.
func (c *Cloud) GetLoadBalancer(ctx context.Context, _ string, service *corev1.Service) (*corev1.LoadBalancerStatus, bool, error) {
	balancer, err := c.balancer(ctx)
	if err != nil || balancer == nil {
		return nil, false, err
	}
	for _, frontend := range balancer.Spec.Frontends {
		if frontend.Service == service.Namespace+"/"+service.Name {
			return &corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: frontend.Address}}}, true, nil
		}
	}
	return nil, false, nil
}

// GetLoadBalancerName is the name that AKS gives to the one balancer of a cluster.
func (c *Cloud) GetLoadBalancerName(context.Context, string, *corev1.Service) string {
	return "kubernetes"
}

// EnsureLoadBalancer refuses: controller/service balances.
func (c *Cloud) EnsureLoadBalancer(context.Context, string, *corev1.Service, []*corev1.Node) (*corev1.LoadBalancerStatus, error) {
	return nil, upstream.ImplementedElsewhere
}

// UpdateLoadBalancer refuses: controller/service balances.
func (c *Cloud) UpdateLoadBalancer(context.Context, string, *corev1.Service, []*corev1.Node) error {
	return upstream.ImplementedElsewhere
}

// EnsureLoadBalancerDeleted refuses: controller/service balances.
func (c *Cloud) EnsureLoadBalancerDeleted(context.Context, string, *corev1.Service) error {
	return upstream.ImplementedElsewhere
}

func (c *Cloud) balancer(ctx context.Context) (*networkv1.LoadBalancer, error) {
	balancer := &networkv1.LoadBalancer{}
	err := c.Reader.Get(ctx, client.ObjectKey{Name: c.Incarnation}, balancer)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the load balancer: %w", err)
	}
	return balancer, nil
}
