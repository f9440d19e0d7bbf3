package containerservice

import (
	"net/http"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

// abortCluster aborts the running operation of a cluster.
func (p *Provider) abortCluster(w http.ResponseWriter, r *arm.Request) error {
	return p.abort(w, r, func(*containerservicev1alpha1.ManagedCluster) (string, error) { return meta.ScopeCluster, nil })
}

// abortPool aborts the last operation of an agent pool that was asked for: the one
// that was queued last, or else the one that runs.
func (p *Provider) abortPool(w http.ResponseWriter, r *arm.Request) error {
	return p.abort(w, r, func(cluster *containerservicev1alpha1.ManagedCluster) (string, error) {
		name := lowerName(r)
		if cluster.AgentPool(name) == nil && cluster.Operation(name) == nil && cluster.Queued(name) == nil {
			return "", poolNotFound(r)
		}
		return name, nil
	})
}

// abort writes the wish to give up into the operation. A second wish joins the first.
func (p *Provider) abort(w http.ResponseWriter, r *arm.Request, scopeOf func(*containerservicev1alpha1.ManagedCluster) (string, error)) error {
	return resources.RetryConflicts(func() error {
		cluster, err := p.cluster(r)
		if err != nil {
			return err
		}
		scope, err := scopeOf(cluster)
		if err != nil {
			return err
		}
		if err := p.admitAbort(r, cluster, scope); err != nil {
			return err
		}
		next := cluster.DeepCopy()
		wish := wishToAbort(next, scope)
		if *wish != nil {
			return p.accepted(w, r, (*wish).ID, nil)
		}
		*wish = &meta.AbortRequest{
			ID: uuid.NewString(), StartTime: metav1.NewTime(p.Now()), Caller: r.Principal.ObjectID, CorrelationID: r.CorrelationID,
		}
		label(next)
		return p.accepted(w, r, (*wish).ID, p.Client.Update(r.Context(), next))
	})
}

// wishToAbort is where the wish to abort the last operation of a scope lies.
func wishToAbort(cluster *containerservicev1alpha1.ManagedCluster, scope string) **meta.AbortRequest {
	if queued := cluster.Queued(scope); queued != nil {
		return &queued.Abort
	}
	return &cluster.Operation(scope).Abort
}

// admitAbort refuses to abort where there is nothing to be aborted. A deletion
// is not: what is gone is gone.
func (p *Provider) admitAbort(r *arm.Request, cluster *containerservicev1alpha1.ManagedCluster, scope string) error {
	running := cluster.Operation(scope)
	switch {
	case cluster.DeletionTimestamp == nil && cluster.Queued(scope) != nil:
		return nil
	case cluster.DeletionTimestamp != nil || running != nil && running.Verb == meta.VerbDelete:
		return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
			"Cancel operation is not allowed when the ProvisioningState is Deleting: a deletion cannot be taken back.")
	case running != nil:
		return nil
	case scope != meta.ScopeCluster && cluster.Operation(meta.ScopeCluster) != nil:
		of := cluster.Operation(meta.ScopeCluster)
		return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
			"Cancel operation is not allowed: what runs on the agent pool '%s' is the operation %s on its managed cluster, id %s. Abort that one.", scope, of.Verb, of.ID)
	}
	state := cluster.DeriveProvisioningState()
	if scope != meta.ScopeCluster {
		projections, err := p.pools(r.Context())
		if err != nil {
			return err
		}
		state = cluster.DerivePoolProvisioningState(scope, projections[cluster.Name][scope])
	}
	return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
		"Cancel operation is not allowed when the ProvisioningState is %s: no operation is running.", state)
}
