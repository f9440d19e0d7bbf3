package containerservice

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/naming"
)

// incarnation is a fresh one for a new cluster: that of a control plane which was
// started before and which no other has, or a random one. A claim whose cluster is
// then not written is given up by the controller of these control planes.
func (p *Provider) incarnation(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster) string {
	var planes containerservicev1alpha1.ControlPlaneList
	if err := p.Client.List(ctx, &planes, client.HasLabels{containerservicev1alpha1.PrestartedLabel}); err != nil {
		log.FromContext(ctx).Error(err, "looking for a pre-started control plane: the cluster gets one that has to start")
		return naming.Incarnation()
	}
	for i := range planes.Items {
		plane := &planes.Items[i]
		if !fits(plane, &cluster.Spec) {
			continue
		}
		claim(plane, cluster)
		err := p.Client.Update(ctx, plane)
		if err == nil {
			return plane.Spec.Incarnation
		}
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) { // not just another who was faster
			log.FromContext(ctx).Error(err, "claiming a pre-started control plane: the cluster gets one that has to start")
			break
		}
	}
	return naming.Incarnation()
}

// fits says whether a control plane serves, belongs to nobody, and is what the
// cluster's own would be: what its processes were started with cannot change.
func fits(plane *containerservicev1alpha1.ControlPlane, spec *containerservicev1alpha1.ManagedClusterSpec) bool {
	return plane.DeletionTimestamp == nil && plane.Spec.ClusterName == "" &&
		plane.Status.ObservedGeneration == plane.Generation &&
		containerservicev1alpha1.ConditionTrue(plane.Status.Conditions, containerservicev1alpha1.ConditionReady) &&
		plane.Spec.KubernetesVersion == spec.KubernetesVersion && plane.Spec.ServiceCIDR == spec.Network.ServiceCIDR &&
		spec.Restore == nil && spec.PowerState != meta.PowerStopped
}

// claim writes into a control plane what it has of its cluster. Nobody may reach
// it meanwhile who may not reach the cluster; its controller adds the addresses
// that its nodes come with.
func claim(plane *containerservicev1alpha1.ControlPlane, cluster *containerservicev1alpha1.ManagedCluster) {
	delete(plane.Labels, containerservicev1alpha1.PrestartedLabel)
	_, domain, _ := strings.Cut(plane.Spec.FQDN, ".")
	plane.Spec.ClusterName = cluster.Name
	plane.Spec.FQDN = naming.APIServer(cluster.Spec.DNSPrefix, plane.Spec.Incarnation, domain)
	plane.Spec.PodCIDR, plane.Spec.PowerState = cluster.Spec.Network.PodCIDR, cluster.Spec.PowerState
	plane.Spec.AuthorizedIPRanges = slices.Clone(cluster.Spec.AuthorizedIPRanges)
}
