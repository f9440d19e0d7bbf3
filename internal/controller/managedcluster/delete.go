package managedcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/controller/grant"
	"berth.dev/berth/internal/management/sieve"
	"berth.dev/berth/internal/naming"
)

// deletion takes away one part of a cluster. It returns what it waits for, and
// nothing once nothing is left. It reads the API server itself: what a cache has
// not seen yet would be forgotten for ever.
type deletion func(ctx context.Context, cluster *v1alpha1.ManagedCluster) (waits string, err error)

// deletions are the phases of the delete list, in order: first who uses, then what is used.
func deletions(config Config, allocator allocation.Allocator) []deletion {
	d := deleter{config: config, allocator: allocator}
	return []deletion{
		d.agentPools,
		d.disks,
		d.controlPlane,
		d.backups,
		d.network,
		d.claims,
		d.nodeGroup,
		d.credentials,
		d.maintenance,
		d.backupSchedules,
		d.roles,
	}
}

type deleter struct {
	config    Config
	allocator allocation.Allocator
}

// finalize runs the delete list up to what it has to wait for.
func (c *Controller) finalize(ctx context.Context, cluster *v1alpha1.ManagedCluster) (reconcile.Result, error) {
	if !controllerutil.ContainsFinalizer(cluster, v1alpha1.ManagedClusterFinalizer) {
		return reconcile.Result{}, nil
	}
	c.config.Tenants.Disconnect(cluster.Name)
	for _, p := range c.phases {
		if a, ok := p.phase.(*addons); ok {
			a.forget(cluster.Spec.Incarnation)
		}
	}
	if err := c.operations.cancel(ctx, cluster, c.config.Clock.Now()); err != nil {
		return conflict.Retry(reconcile.Result{}, err)
	}
	for _, deletion := range c.deletions {
		waits, err := deletion(ctx, cluster)
		outcome := condition.Outcome{True: true, Reason: condition.ReasonDeleting, Message: waits}
		if err != nil {
			outcome.Reason, outcome.Message = condition.ReasonError, err.Error()
		} else if waits == "" {
			continue
		}
		if statusErr := c.reportDeleting(ctx, cluster, outcome); statusErr != nil && err == nil {
			err = client.IgnoreNotFound(statusErr)
		}
		return conflict.Retry(reconcile.Result{}, err)
	}
	controllerutil.RemoveFinalizer(cluster, v1alpha1.ManagedClusterFinalizer)
	if err := c.config.Client.Update(ctx, cluster); client.IgnoreNotFound(err) != nil {
		return conflict.Retry(reconcile.Result{}, fmt.Errorf("removing the finalizer: %w", err))
	}
	return reconcile.Result{}, nil
}

// reportDeleting writes the status of a cluster that is on its way out.
func (c *Controller) reportDeleting(ctx context.Context, cluster *v1alpha1.ManagedCluster, outcome condition.Outcome) error {
	original := cluster.DeepCopy()
	stamp := condition.Stamp{Generation: cluster.Generation, Time: c.config.Clock.Now()}
	stamp.Set(&cluster.Status.Conditions, v1alpha1.ConditionDeleting, outcome)
	stamp.Set(&cluster.Status.Conditions, v1alpha1.ConditionReady, condition.Outcome{
		Reason: condition.ReasonDeleting, Message: outcome.Message,
	})
	cluster.Status.ObservedGeneration = cluster.Generation
	cluster.Status.ProvisioningState = cluster.DeriveProvisioningState()
	cluster.Status.Progress = nil
	if equality.Semantic.DeepEqual(original.Status, cluster.Status) {
		return nil
	}
	if err := c.config.Client.Status().Patch(ctx, cluster, client.MergeFrom(original)); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

func (d deleter) agentPools(ctx context.Context, cluster *v1alpha1.ManagedCluster) (string, error) {
	pools, err := listPools(ctx, d.config.Reader, cluster.Name)
	if err != nil {
		return "", err
	}
	var waits []string
	for _, pool := range pools {
		if gone, err := d.delete(ctx, pool); err != nil {
			return "", err
		} else if !gone {
			waits = append(waits, pool.Spec.Profile.Name)
		}
	}
	if len(waits) == 0 {
		return "", nil
	}
	return "waiting for the nodes of agent pool " + strings.Join(waits, ", ") + " to be deleted", nil
}

// disks deletes the disks of the cluster's volumes with all that is on them.
func (d deleter) disks(ctx context.Context, cluster *v1alpha1.ManagedCluster) (string, error) {
	var list v1alpha1.DiskList
	if err := d.config.Reader.List(ctx, &list, sieve.Mentioning(cluster.Spec.Incarnation)); err != nil {
		return "", fmt.Errorf("listing disks: %w", err)
	}
	left := 0
	for i := range list.Items {
		if list.Items[i].Spec.ClusterIncarnation != cluster.Spec.Incarnation {
			continue
		}
		gone, err := d.delete(ctx, &list.Items[i])
		if err != nil {
			return "", err
		}
		if !gone {
			left++
		}
	}
	if left == 0 {
		return "", nil
	}
	return fmt.Sprintf("waiting for %d disks to be deleted", left), nil
}

func (d deleter) controlPlane(ctx context.Context, cluster *v1alpha1.ManagedCluster) (string, error) {
	plane := &v1alpha1.ControlPlane{}
	plane.Name = cluster.Spec.Incarnation
	gone, err := d.delete(ctx, plane)
	if err != nil || gone {
		return "", err
	}
	return "waiting for the control plane to stop", nil
}

// network deletes the balancer and then the network whose router it is programmed
// in, or leaves the one that the cluster joined.
func (d deleter) network(ctx context.Context, cluster *v1alpha1.ManagedCluster) (string, error) {
	balancer := &networkv1.LoadBalancer{}
	balancer.Name = cluster.Spec.Incarnation
	balancerGone, err := d.delete(ctx, balancer)
	if err != nil {
		return "", err
	}
	if cluster.Spec.Network.Joins() {
		return d.leave(ctx, cluster)
	}
	vnet := &networkv1.VirtualNetwork{}
	vnet.Name = networkName(cluster)
	networkGone, err := d.delete(ctx, vnet)
	if err != nil || balancerGone && networkGone {
		return "", err
	}
	return "waiting for the virtual network to be removed", nil
}

// leave takes the cluster's entries out of the network that it joined and waits
// until nothing of them is programmed: its addresses are given back next.
func (d deleter) leave(ctx context.Context, cluster *v1alpha1.ManagedCluster) (string, error) {
	incarnation := cluster.Spec.Incarnation
	vnet, err := d.allocator.UpdateNetwork(ctx, networkName(cluster), func(vnet *networkv1.VirtualNetwork) (bool, error) {
		spec := &vnet.Spec
		before := len(spec.Outbounds) + len(spec.PodCIDRs) + len(spec.Ports) + len(spec.InternalAddresses)
		spec.Outbounds = slices.DeleteFunc(spec.Outbounds, func(o networkv1.Outbound) bool { return o.ClusterIncarnation == incarnation })
		spec.PodCIDRs = slices.DeleteFunc(spec.PodCIDRs, func(p networkv1.PodCIDR) bool { return p.ClusterIncarnation == incarnation })
		spec.Ports = slices.DeleteFunc(spec.Ports, func(p networkv1.Port) bool { return p.ClusterIncarnation == incarnation })
		spec.InternalAddresses = slices.DeleteFunc(spec.InternalAddresses, func(a networkv1.InternalAddress) bool { return a.ClusterIncarnation == incarnation })
		return before != len(spec.Outbounds)+len(spec.PodCIDRs)+len(spec.Ports)+len(spec.InternalAddresses), nil
	})
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", err
	case vnet.Status.ObservedGeneration < vnet.Generation:
		return "waiting for the host to take the cluster out of the virtual network " + cluster.Spec.Network.VirtualNetworkID, nil
	}
	return "", nil
}

// claims gives the addresses and ids back, those of the cluster's services included.
func (d deleter) claims(ctx context.Context, cluster *v1alpha1.ManagedCluster) (string, error) {
	if err := d.allocator.ReleaseAddresses(ctx, ownerOf(cluster)); err != nil {
		return "", err
	}
	return "", d.allocator.ReleaseIDRange(ctx, ownerOf(cluster))
}

func (d deleter) credentials(ctx context.Context, cluster *v1alpha1.ManagedCluster) (string, error) {
	_, err := d.delete(ctx, secret(naming.SystemNamespace, naming.Credentials(cluster.Spec.Incarnation)))
	return "", err
}

// maintenance takes away when the service may work on the cluster.
func (d deleter) maintenance(ctx context.Context, cluster *v1alpha1.ManagedCluster) (string, error) {
	var list v1alpha1.MaintenanceConfigurationList
	if err := d.config.Reader.List(ctx, &list, client.MatchingLabels{v1alpha1.MaintenanceClusterLabel: cluster.Name}); err != nil {
		return "", fmt.Errorf("listing maintenance configurations: %w", err)
	}
	for i := range list.Items {
		if _, err := d.delete(ctx, &list.Items[i]); err != nil {
			return "", err
		}
	}
	return "", nil
}

// backupSchedules takes away when backups are taken; the backups stay.
func (d deleter) backupSchedules(ctx context.Context, cluster *v1alpha1.ManagedCluster) (string, error) {
	var list v1alpha1.BackupScheduleList
	if err := d.config.Reader.List(ctx, &list, client.MatchingLabels{v1alpha1.BackupScheduleClusterLabel: cluster.Name}); err != nil {
		return "", fmt.Errorf("listing backup schedules: %w", err)
	}
	for i := range list.Items {
		if _, err := d.delete(ctx, &list.Items[i]); err != nil {
			return "", err
		}
	}
	return "", nil
}

// roles takes away what was granted on the cluster, to its own identity and to its nodes'.
// It is the last phase: until then the cluster is there and can be granted on.
func (d deleter) roles(ctx context.Context, cluster *v1alpha1.ManagedCluster) (string, error) {
	revoker := grant.Revoker{Client: d.config.Client, Reader: d.config.Reader}
	_, kubelet := naming.KubeletIdentity(cluster.Spec.Incarnation)
	principals := append(slices.Clone(cluster.Spec.FormerPrincipals), cluster.Spec.IdentityPrincipalID, kubelet)
	return "", revoker.Revoke(ctx, grant.Cluster(cluster), principals...)
}

// delete deletes an object and says whether it is gone. Whoever holds it by a
// finalizer wakes this controller when it lets go.
func (d deleter) delete(ctx context.Context, object client.Object) (gone bool, err error) {
	key := client.ObjectKeyFromObject(object)
	if err := d.config.Reader.Get(ctx, key, object); err != nil {
		return client.IgnoreNotFound(err) == nil, client.IgnoreNotFound(err)
	}
	if object.GetDeletionTimestamp() != nil {
		return false, nil
	}
	if err := d.config.Client.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("deleting %s: %w", key.Name, err)
	}
	return len(object.GetFinalizers()) == 0, nil
}
