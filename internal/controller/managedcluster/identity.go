package managedcluster

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"berth.dev/berth/internal/controller/grant"
)

// formerIdentities takes away the roles of identities that the cluster gave up,
// and then that they were: whoever dies in between finds their names again.
type formerIdentities struct {
	config Config
}

func (p *formerIdentities) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if len(s.cluster.Spec.FormerPrincipals) == 0 {
		return reconcile.Result{}, nil
	}
	revoker := grant.Revoker{Client: p.config.Client, Reader: p.config.Reader}
	if err := revoker.RevokeFrom(ctx, s.cluster.Spec.FormerPrincipals...); err != nil {
		return reconcile.Result{}, err
	}
	s.cluster.Spec.FormerPrincipals = nil
	if err := p.config.Client.Update(ctx, s.cluster); err != nil {
		return reconcile.Result{}, fmt.Errorf("forgetting former identities: %w", err)
	}
	return reconcile.Result{}, nil
}
