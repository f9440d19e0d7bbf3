// Package cloudnode does for all tenants what a cloud-controller-manager does
// with the nodes of one cluster: a node that says that it waits for its cloud is
// told who it is and let go, a node whose machine is gone vanishes, and one whose
// machine is stopped is not ready. It asks the cloud provider (package
// cloudprovider); it makes, stops and removes no machine.
package cloudnode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	upstream "k8s.io/cloud-provider"
	cloudapi "k8s.io/cloud-provider/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/cloudprovider"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/tenant"
)

// Tenants finds connected tenants.
type Tenants interface {
	Get(cluster string) (*tenant.Tenant, bool)
}

// Controller looks at all nodes of one cluster at a time.
type Controller struct {
	client, reader client.Reader
	tenants        Tenants
}

// NewController makes the controller: client reads the cache, reader the API server.
func NewController(client, reader client.Reader, tenants Tenants) *Controller {
	return &Controller{client: client, reader: reader, tenants: tenants}
}

// Register adds the controller to a manager, fed by the tenants.
func (c *Controller) Register(manager ctrl.Manager, tenants *tenant.Registry) error {
	byCluster := func(_ context.Context, event tenant.Event) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: event.Cluster}}}
	}
	return ctrl.NewControllerManagedBy(manager).
		Named("cloudnode").
		Watches(&containerservicev1.Machine{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request {
			machine, ok := object.(*containerservicev1.Machine)
			if !ok {
				return nil
			}
			return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: machine.Spec.ClusterName}}}
		})).
		WatchesRawSource(tenants.Source(tenant.Nodes, byCluster)).
		Complete(c)
}

// Reconcile initializes the nodes of a cluster that wait for it, removes those
// whose machine is gone and silences those whose machine is stopped.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	t, ok := c.tenants.Get(request.Name)
	if !ok {
		return reconcile.Result{}, nil
	}
	cluster := &containerservicev1.ManagedCluster{}
	if err := c.client.Get(ctx, request.NamespacedName, cluster); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if cluster.DeletionTimestamp != nil || cluster.Spec.Incarnation != t.Incarnation {
		return reconcile.Result{}, nil
	}
	filled, err := t.Follow(ctx, tenant.Nodes)
	if err != nil || !filled {
		return reconcile.Result{}, err
	}
	var nodes corev1.NodeList
	if err := t.Reader.List(ctx, &nodes); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing nodes: %w", err)
	}
	stopped, err := c.stopped(ctx, cluster.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	var errs []error
	for i := range nodes.Items {
		node := &nodes.Items[i]
		if key, ok := stopped[strings.ToLower(node.Spec.ProviderID)]; ok && ready(node) {
			errs = append(errs, c.silence(ctx, t, node, key))
			continue
		}
		errs = append(errs, c.node(ctx, t, cluster, node))
	}
	return conflict.Retry(reconcile.Result{}, errors.Join(errs...))
}

func (c *Controller) node(ctx context.Context, t *tenant.Tenant, cluster *containerservicev1.ManagedCluster, node *corev1.Node) error {
	waits := slices.ContainsFunc(node.Spec.Taints, isUninitialized)
	ours := strings.HasPrefix(strings.ToLower(node.Spec.ProviderID), Prefix(cluster))
	if !waits && (!ours || ready(node) || node.DeletionTimestamp != nil) {
		return nil // a node that somebody else made, or that works
	}
	metadata, err := cloudprovider.New(c.client, cluster).InstanceMetadata(ctx, node)
	if errors.Is(err, upstream.InstanceNotFound) {
		// The cache may not know a machine that was made just now.
		metadata, err = cloudprovider.New(c.reader, cluster).InstanceMetadata(ctx, node)
	}
	switch {
	case errors.Is(err, upstream.InstanceNotFound) && ours:
		uid := node.UID
		if err := t.Client.Delete(ctx, node, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("removing node %s, whose machine is gone: %w", node.Name, err)
		}
		return nil
	case errors.Is(err, upstream.InstanceNotFound), err == nil && !waits:
		return nil
	case err != nil:
		return err
	}
	return initialize(ctx, t, node, metadata)
}

// initialize tells a node who it is and lets pods onto it.
func initialize(ctx context.Context, t *tenant.Tenant, node *corev1.Node, metadata *upstream.InstanceMetadata) error {
	known := node.DeepCopy()
	if len(known.Status.Addresses) == 0 { // a kubelet that waits for its cloud reports none
		known.Status.Addresses = metadata.NodeAddresses
		if err := t.Client.Status().Patch(ctx, known, client.MergeFrom(node)); err != nil {
			return fmt.Errorf("telling node %s its addresses: %w", node.Name, err)
		}
	}
	changed := known.DeepCopy()
	if changed.Spec.ProviderID == "" {
		changed.Spec.ProviderID = metadata.ProviderID
	}
	if changed.Labels == nil {
		changed.Labels = map[string]string{}
	}
	for label, value := range map[string]string{
		corev1.LabelInstanceTypeStable: metadata.InstanceType, corev1.LabelTopologyRegion: metadata.Region, corev1.LabelTopologyZone: metadata.Zone,
	} {
		if value != "" {
			changed.Labels[label] = value
		}
	}
	changed.Spec.Taints = slices.DeleteFunc(changed.Spec.Taints, isUninitialized)
	patch := client.MergeFromWithOptions(known, client.MergeFromWithOptimisticLock{})
	if err := t.Client.Patch(ctx, changed, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("initializing node %s: %w", node.Name, err)
	}
	return nil
}

// Prefix begins the providerID of every node of a cluster, in lower case.
func Prefix(cluster *containerservicev1.ManagedCluster) string {
	return strings.ToLower(fmt.Sprintf("%s:///subscriptions/%s/resourceGroups/%s/", cloudprovider.Name, cluster.Spec.SubscriptionID, cluster.Spec.NodeResourceGroup))
}

func isUninitialized(taint corev1.Taint) bool {
	return taint.Key == cloudapi.TaintExternalCloudProvider
}

func ready(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
