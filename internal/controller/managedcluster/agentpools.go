package managedcluster

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/management/sieve"
	"berth.dev/berth/internal/naming"
)

// agentPools keeps one projection for each pool of the cluster: nodes come up
// side by side with the control plane, so the network is all it waits for.
type agentPools struct {
	config Config
}

func (p *agentPools) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	pools, err := listPools(ctx, p.config.Reader, s.cluster.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	s.pools, s.poolsKnown = pools, true
	var errs []error
	for _, pool := range s.pools {
		if p.unwanted(s, pool) && pool.DeletionTimestamp == nil {
			if err := p.config.Client.Delete(ctx, pool); client.IgnoreNotFound(err) != nil {
				errs = append(errs, fmt.Errorf("deleting agent pool %s: %w", pool.Name, err))
			}
		}
	}
	if s.outcomes[v1alpha1.ConditionNetworkReady].True {
		for i := range s.cluster.Spec.AgentPools {
			errs = append(errs, p.ensure(ctx, s, &s.cluster.Spec.AgentPools[i]))
		}
	}
	s.report(v1alpha1.ConditionAgentPoolsReady, poolsOutcome(s))
	return reconcile.Result{}, errors.Join(errs...)
}

// unwanted says that the cluster no longer has the pool in this incarnation.
func (p *agentPools) unwanted(s *scope, pool *v1alpha1.AgentPool) bool {
	profile := s.cluster.AgentPool(pool.Spec.Profile.Name)
	return profile == nil || profile.Incarnation != pool.Spec.Profile.Incarnation
}

// ensure makes the projection of one pool, or brings it up to date.
func (p *agentPools) ensure(ctx context.Context, s *scope, profile *v1alpha1.AgentPoolProfile) error {
	pool := s.pool(profile.Incarnation)
	givesUp, wanted := s.cluster.GivesUp(profile.Name), s.projected(*profile)
	if pool == nil && givesUp {
		return nil
	}
	if pool == nil {
		pool = &v1alpha1.AgentPool{
			ObjectMeta: metav1.ObjectMeta{
				Name:       naming.AgentPool(profile.Name, profile.Incarnation),
				Finalizers: []string{v1alpha1.AgentPoolFinalizer},
			},
			Spec: v1alpha1.AgentPoolSpec{
				ClusterName: s.cluster.Name, Profile: wanted, ClusterGeneration: s.cluster.Generation,
				CredentialsDigest: nodeCredentials(s.credentials),
			},
		}
		if err := p.config.Client.Create(ctx, pool); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("making agent pool %s: %w", pool.Name, err)
		}
		s.pools = append(s.pools, pool)
		return nil
	}
	if givesUp { // it learns of the abort, and of nothing that it would begin
		wanted = pool.Spec.Profile
	}
	same := equality.Semantic.DeepEqual(pool.Spec.Profile, wanted)
	// After the control plane: an agent is to go only once no server needs it.
	if digest := nodeCredentials(s.credentials); digest != "" && pool.Spec.CredentialsDigest != digest && s.handedOver() {
		pool.Spec.CredentialsDigest, same = digest, false
	}
	if pool.DeletionTimestamp != nil || same && pool.Spec.ClusterGeneration >= wantedGeneration(s.cluster, profile.Name) {
		return nil
	}
	pool.Spec.Profile, pool.Spec.ClusterGeneration = wanted, max(pool.Spec.ClusterGeneration, s.cluster.Generation)
	if err := p.config.Client.Update(ctx, pool); err != nil {
		return fmt.Errorf("bringing agent pool %s up to date: %w", pool.Name, err)
	}
	return nil
}

// wantedGeneration is the generation that a pool must have seen for the running
// operations to end. A generation that only ended one is not told to the pools.
func wantedGeneration(cluster *v1alpha1.ManagedCluster, pool string) (generation int64) {
	for _, scope := range []string{meta.ScopeCluster, pool} {
		if operation := cluster.Operation(scope); operation != nil {
			generation = max(generation, operation.Generation)
			if operation.Abort != nil { // the pools have to see that, too
				generation = cluster.Generation
			}
		}
	}
	return generation
}

// poolOutcome says whether a pool is what the cluster's spec wants, as of the
// running operations. A pool that the spec no longer has is done once it is gone.
func poolOutcome(s *scope, name string) condition.Outcome {
	profile := s.cluster.AgentPool(name)
	for _, pool := range s.pools {
		if pool.Spec.Profile.Name != name || profile != nil && pool.Spec.Profile.Incarnation == profile.Incarnation {
			continue
		}
		outcome := condition.Mirror(pool.Status.Conditions, v1alpha1.ConditionDeleting, "waiting for the nodes to be deleted")
		return condition.Outcome{Reason: condition.ReasonDeleting, Message: fmt.Sprintf("pool %s: %s", name, outcome.Message)}
	}
	if profile == nil {
		return condition.True(fmt.Sprintf("pool %s is gone", name))
	}
	pool := s.pool(profile.Incarnation)
	if pool == nil && s.cluster.GivesUp(name) {
		return condition.Aborted()
	}
	if pool == nil {
		return condition.Waiting(fmt.Sprintf("pool %s: waiting for the virtual network", name))
	}
	wants := v1alpha1.ConditionReady
	if stops(profile.PowerState) && !s.wantsStop() { // it alone is stopped, and is as it should be once it is
		wants = v1alpha1.ConditionStopped
	}
	outcome := condition.Mirror(pool.Status.Conditions, wants, "waiting for its nodes")
	outcome.Message = fmt.Sprintf("pool %s: %s", name, outcome.Message)
	current := equality.Semantic.DeepEqual(pool.Spec.Profile, s.projected(*profile)) && pool.DeletionTimestamp == nil &&
		pool.Status.ObservedGeneration >= pool.Generation &&
		pool.Status.ObservedClusterGeneration >= wantedGeneration(s.cluster, name)
	if outcome.True && !current && s.cluster.GivesUp(name) {
		return condition.Aborted()
	}
	if outcome.True && !current {
		return condition.Waiting(fmt.Sprintf("pool %s: waiting for its controller to see the change", name))
	}
	return outcome
}

// poolsOutcome is the first pool that is not ready, or that all are.
func poolsOutcome(s *scope) condition.Outcome {
	names := map[string]bool{}
	for _, profile := range s.cluster.Spec.AgentPools {
		names[profile.Name] = true
		if outcome := poolOutcome(s, profile.Name); !outcome.True {
			return outcome
		}
	}
	for _, pool := range s.pools {
		if names[pool.Spec.Profile.Name] {
			continue
		}
		if outcome := poolOutcome(s, pool.Spec.Profile.Name); !outcome.True {
			return outcome
		}
	}
	return condition.True("every pool has its nodes")
}

// listPools reads every projection of a cluster.
func listPools(ctx context.Context, reader client.Reader, cluster string) ([]*v1alpha1.AgentPool, error) {
	var list v1alpha1.AgentPoolList
	if err := reader.List(ctx, &list, sieve.Mentioning(cluster)); err != nil {
		return nil, fmt.Errorf("listing agent pools: %w", err)
	}
	var pools []*v1alpha1.AgentPool
	for i := range list.Items {
		if list.Items[i].Spec.ClusterName == cluster {
			pools = append(pools, &list.Items[i])
		}
	}
	return pools, nil
}
