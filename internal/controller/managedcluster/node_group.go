package managedcluster

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	resourcesv1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controller/grant"
	"berth.dev/berth/internal/naming"
)

// nodeGroup makes the node resource group and what the network refers to in it:
// before anything that lies in it, and the group itself goes last.
type nodeGroup struct {
	config Config
}

func (p *nodeGroup) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if s.givesUp() {
		return reconcile.Result{}, nil
	}
	group, err := p.group(ctx, s.cluster)
	if err != nil {
		return reconcile.Result{}, err
	}
	id := s.cluster.Spec.Network.VirtualNetworkID
	if group.DeletionTimestamp != nil || !strings.EqualFold(group.Spec.ManagedBy, grant.Cluster(s.cluster)) {
		if id == "" {
			return reconcile.Result{}, nil // an earlier version made none, and a caller may have one of the name
		}
		s.nodeGroupTaken = fmt.Sprintf("the resource group %s is there already and not this cluster's, or is being deleted; delete it, or delete the cluster and make it with another nodeResourceGroup", group.Spec.Name)
		s.report(v1alpha1.ConditionNetworkReady, condition.Waiting(s.nodeGroupTaken))
		return reconcile.Result{}, nil
	}
	if id == "" || s.cluster.Spec.Network.Joins() {
		return reconcile.Result{}, nil
	}
	if err := p.ensure(ctx, &networkv1.NetworkSecurityGroup{
		ObjectMeta: metav1.ObjectMeta{Name: naming.Object(securityGroupID(s.cluster))},
		Spec:       networkv1.NetworkSecurityGroupSpec{Resource: managed(s.cluster, securityGroupID(s.cluster))},
	}); err != nil || s.cluster.Spec.Network.Plugin != v1alpha1.NetworkPluginKubenet {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, p.ensure(ctx, &networkv1.RouteTable{
		ObjectMeta: metav1.ObjectMeta{Name: naming.Object(routeTableID(s.cluster))},
		Spec:       networkv1.RouteTableSpec{Resource: managed(s.cluster, routeTableID(s.cluster))},
	})
}

// group is the node resource group, made now unless there is one.
func (p *nodeGroup) group(ctx context.Context, cluster *v1alpha1.ManagedCluster) (*resourcesv1.ResourceGroup, error) {
	group := &resourcesv1.ResourceGroup{
		ObjectMeta: metav1.ObjectMeta{
			Name: nodeGroupName(cluster), Finalizers: []string{resourcesv1.ResourceGroupFinalizer},
			Labels: map[string]string{resourcesv1.SubscriptionLabel: strings.ToLower(cluster.Spec.SubscriptionID)},
		},
		Spec: resourcesv1.ResourceGroupSpec{
			SubscriptionID: cluster.Spec.SubscriptionID, Name: cluster.Spec.NodeResourceGroup, Location: cluster.Spec.Location,
			ManagedBy: grant.Cluster(cluster),
		},
	}
	there := &resourcesv1.ResourceGroup{}
	key := client.ObjectKeyFromObject(group)
	if err := p.config.Client.Get(ctx, key, there); err == nil || !apierrors.IsNotFound(err) {
		return there, err
	}
	err := p.config.Client.Create(ctx, group)
	if apierrors.IsAlreadyExists(err) { // the cache has not seen it yet
		err = p.config.Reader.Get(ctx, key, group)
	}
	if err != nil {
		return nil, fmt.Errorf("making the node resource group: %w", err)
	}
	return group, nil
}

// ensure makes an object unless it is there.
func (p *nodeGroup) ensure(ctx context.Context, object networkv1.Object) error {
	there, _ := object.DeepCopyObject().(client.Object)
	err := p.config.Client.Get(ctx, client.ObjectKeyFromObject(object), there)
	if !apierrors.IsNotFound(err) {
		return err
	}
	if err := p.config.Client.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making %s: %w", object.Common().ResourceID, err)
	}
	return nil
}

// managed is what all resources of a node resource group say of themselves.
func managed(cluster *v1alpha1.ManagedCluster, id string) networkv1.Resource {
	return networkv1.Resource{ResourceID: id, Location: cluster.Spec.Location, ManagedBy: grant.Cluster(cluster)}
}

func nodeGroupName(cluster *v1alpha1.ManagedCluster) string {
	return naming.Object(grant.Group(cluster.Spec.SubscriptionID, cluster.Spec.NodeResourceGroup))
}

// securityGroupID and routeTableID are named as AKS names them.
func securityGroupID(cluster *v1alpha1.ManagedCluster) string {
	return inNodeGroup(cluster, "networkSecurityGroups", "-nsg")
}

func routeTableID(cluster *v1alpha1.ManagedCluster) string {
	return inNodeGroup(cluster, "routeTables", "-routetable")
}

func inNodeGroup(cluster *v1alpha1.ManagedCluster, resourceType, suffix string) string {
	return arm.ResourceID{
		SubscriptionID: cluster.Spec.SubscriptionID, ResourceGroup: cluster.Spec.NodeResourceGroup, Provider: "Microsoft.Network",
		Types: []string{resourceType}, Names: []string{"aks-agentpool-" + naming.Digits(cluster.Spec.Incarnation) + suffix},
	}.String()
}

// nodeGroup deletes the node resource group with all that is left in it.
func (d deleter) nodeGroup(ctx context.Context, cluster *v1alpha1.ManagedCluster) (string, error) {
	group := &resourcesv1.ResourceGroup{}
	err := d.config.Reader.Get(ctx, client.ObjectKey{Name: nodeGroupName(cluster)}, group)
	if err != nil || !strings.EqualFold(group.Spec.ManagedBy, grant.Cluster(cluster)) {
		return "", client.IgnoreNotFound(err)
	}
	gone, err := d.delete(ctx, group)
	if err != nil || gone {
		return "", err
	}
	return "waiting for the node resource group " + cluster.Spec.NodeResourceGroup + " to be deleted", nil
}
