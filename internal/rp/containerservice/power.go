package containerservice

import (
	"context"
	"net/http"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

// powerRoutes are the routes of stop, start and abort.
func (p *Provider) powerRoutes() []arm.Route {
	post := http.MethodPost
	return []arm.Route{
		{Method: post, Pattern: aCluster + "/start", Action: onClusters + "start/action", Handle: p.startCluster},
		{Method: post, Pattern: aCluster + "/stop", Action: onClusters + "stop/action", Handle: p.stopCluster},
		{Method: post, Pattern: aCluster + "/abort", Action: onClusters + "abort/action", Handle: p.abortCluster},
		{Method: post, Pattern: aPool + "/abort", Action: onPools + "abort/action", Handle: p.abortPool},
	}
}

// stopCluster stops a cluster. Stopping one that is stopped changes nothing and
// succeeds; stopping one that is being deleted joins the deletion, which stops it too.
func (p *Provider) stopCluster(w http.ResponseWriter, r *arm.Request) error {
	return resources.RetryConflicts(func() error {
		cluster, err := p.cluster(r)
		if err != nil {
			return err
		}
		if err := admitVerb(cluster, meta.ScopeCluster, meta.VerbStop); err != nil {
			return err
		}
		if cluster.DeletionTimestamp != nil {
			id, err := p.joinDeletion(r.Context(), r, cluster)
			return p.accepted(w, r, id, err)
		}
		if cluster.Stopped() && !cluster.Aborted(meta.ScopeCluster) {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		d := &draft{old: cluster, next: cluster.DeepCopy()}
		d.next.Spec.PowerState = meta.PowerStopped
		id, err := p.write(r.Context(), r, d, meta.ScopeCluster, meta.VerbStop)
		return p.accepted(w, r, id, err)
	})
}

// startCluster starts a cluster that is stopped, or whose stop or start was
// aborted or failed. Its nodes need room on the hosts, as those of a new one.
func (p *Provider) startCluster(w http.ResponseWriter, r *arm.Request) error {
	p.admission.Lock()
	defer p.admission.Unlock()
	return resources.RetryConflicts(func() error {
		cluster, err := p.cluster(r)
		if err != nil {
			return err
		}
		if err := admitVerb(cluster, meta.ScopeCluster, meta.VerbStart); err != nil {
			return err
		}
		if cluster.Spec.PowerState != meta.PowerStopped && !cluster.Aborted(meta.ScopeCluster) && cluster.Status.Failure == nil {
			return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
				"Operation is not allowed: the managed cluster '%s' is running. Only a stopped cluster can be started.", cluster.Spec.Name)
		}
		d := &draft{old: cluster, next: cluster.DeepCopy()}
		d.next.Spec.PowerState = meta.PowerRunning
		known, err := p.readFacts(r.Context(), cluster.Name)
		if err != nil {
			return err
		}
		if err := p.admitRoom(r.Context(), cluster, d.next, known, ""); err != nil {
			return err
		}
		id, err := p.write(r.Context(), r, d, meta.ScopeCluster, meta.VerbStart)
		return p.accepted(w, r, id, err)
	})
}

// joinDeletion is the operation of a deletion that is under way.
func (p *Provider) joinDeletion(ctx context.Context, r *arm.Request, cluster *containerservicev1alpha1.ManagedCluster) (string, error) {
	return p.Operations.Delete(ctx, r, IDOf(cluster, meta.ScopeCluster),
		resourcesv1alpha1.Target{Kind: "ManagedCluster", Name: cluster.Name, UID: string(cluster.UID)}, cluster)
}

// accepted answers an action that started, or joined, an operation.
func (p *Provider) accepted(w http.ResponseWriter, r *arm.Request, id string, err error) error {
	if err != nil {
		return err
	}
	p.async(r, id, true).Set(w, r)
	w.WriteHeader(http.StatusAccepted)
	return nil
}
