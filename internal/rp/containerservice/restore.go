package containerservice

import (
	"context"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/version"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

// Cluster reads a cluster by its id, nil if there is none.
func (p *Provider) Cluster(ctx context.Context, id arm.ResourceID) (*containerservicev1alpha1.ManagedCluster, error) {
	return p.find(ctx, id)
}

// Restore starts the operation that replaces a cluster's data by a backup's,
// which a cluster of kubernetesVersion wrote.
func (p *Provider) Restore(w http.ResponseWriter, r *arm.Request, id arm.ResourceID, restore containerservicev1alpha1.Restore, kubernetesVersion string) error {
	return resources.RetryConflicts(func() error {
		cluster, err := p.find(r.Context(), id)
		if err != nil {
			return err
		}
		if cluster == nil {
			return arm.ResourceNotFound(id)
		}
		if err := admitVerb(cluster, meta.ScopeCluster, meta.VerbRestore); err != nil {
			return err
		}
		if newer(kubernetesVersion, cluster.Spec.KubernetesVersion) {
			return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
				"The backup was taken of Kubernetes %s and the cluster runs %s, which may not read what a later one wrote. Upgrade the cluster first, or restore to a new one.",
				kubernetesVersion, cluster.Spec.KubernetesVersion)
		}
		d := &draft{old: cluster, next: cluster.DeepCopy()}
		d.next.Spec.Restore = &restore
		operation, err := p.write(r.Context(), r, d, meta.ScopeCluster, meta.VerbRestore)
		return p.accepted(w, r, operation, err)
	})
}

// newer compares two versions by their minors.
func newer(a, b string) bool {
	va, errA := version.ParseGeneric(a)
	vb, errB := version.ParseGeneric(b)
	return errA == nil && errB == nil && (va.Major() > vb.Major() || va.Major() == vb.Major() && va.Minor() > vb.Minor())
}

// RestoreNew makes a cluster as spec says it was, under another id, whose API
// server starts on a backup's data.
func (p *Provider) RestoreNew(
	w http.ResponseWriter, r *arm.Request, id arm.ResourceID, spec containerservicev1alpha1.ManagedClusterSpec, restore containerservicev1alpha1.Restore,
) error {
	p.admission.Lock()
	defer p.admission.Unlock()
	if _, err := resources.WritableGroup(r.Context(), p.Client, id.SubscriptionID, id.ResourceGroup); err != nil {
		return err
	}
	d := &draft{next: newCluster(id, clusterRequest{}, p.Location)}
	fresh := d.next.Spec
	d.next.Spec = spec
	d.next.Spec.SubscriptionID, d.next.Spec.ResourceGroup, d.next.Spec.Name = fresh.SubscriptionID, fresh.ResourceGroup, fresh.Name
	d.next.Spec.Location, d.next.Spec.DNSPrefix, d.next.Spec.NodeResourceGroup = fresh.Location, fresh.DNSPrefix, fresh.NodeResourceGroup
	d.next.Spec.PowerState, d.next.Spec.Upgrade, d.next.Spec.Restore = meta.PowerRunning, nil, &restore
	for i := range d.next.Spec.AgentPools {
		d.next.Spec.AgentPools[i].Incarnation = ""
	}
	if err := p.admitRestoredIdentities(r, d); err != nil {
		return err
	}
	known, err := p.readFacts(r.Context(), d.next.Name)
	if err != nil {
		return err
	}
	if err := p.admitRestoredPlace(r, d, known); err != nil {
		return err
	}
	if err := admitCapacity(nil, d.next, known, ""); err != nil {
		return err
	}
	operation, err := p.write(r.Context(), r, d, meta.ScopeCluster, meta.VerbCreate)
	if apierrors.IsAlreadyExists(err) {
		return arm.NewError(http.StatusConflict, "ResourceExists",
			"There is a managed cluster '%s' already. A restore to a new cluster needs a name that is free; to replace the data of the one that is there, restore to it.", id.Name())
	}
	if apierrors.IsConflict(err) {
		return arm.NewError(http.StatusConflict, resources.CodeConflict, "The virtual network '%s' was changed by others at the same time. Repeat the request.", d.next.Spec.Network.VirtualNetworkID)
	}
	if err == nil {
		err = p.withdrawOrphan(r, d.next)
	}
	return p.accepted(w, r, operation, err)
}
