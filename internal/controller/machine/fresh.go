package machine

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
)

// freshInterval is how soon a lease is read again while a kubelet is awaited.
const freshInterval = 250 * time.Millisecond

// fresh makes sure that what the node says of itself was said since its machine
// was started: what it said before a stop stays in the data and is Ready for
// most of a minute. A kubelet tells its status when it starts, and then seldom:
// in between its lease tells that it lives.
func (p *node) fresh(ctx context.Context, s *scope) (reconcile.Result, error) {
	started := apimeta.FindStatusCondition(s.machine.Status.Conditions, v1alpha1.ConditionProvisioned)
	if !s.nodeReady.True || started == nil || !v1alpha1.ConditionTrue(s.machine.Status.Conditions, v1alpha1.ConditionProvisioned) {
		return reconcile.Result{}, nil
	}
	since := started.LastTransitionTime.Time
	if since.After(s.now) { // the clock was set back: nothing that is said now would be later
		return reconcile.Result{}, nil
	}
	for _, c := range s.node.Status.Conditions {
		if c.Type == corev1.NodeReady && !c.LastHeartbeatTime.Time.Before(since) {
			return reconcile.Result{}, nil
		}
	}
	lease := &coordinationv1.Lease{}
	err := s.tenant.Client.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: s.node.Name}, lease)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("reading the lease of node %s: %w", s.node.Name, err)
	}
	if err == nil && lease.Spec.RenewTime != nil && !lease.Spec.RenewTime.Time.Before(since) {
		return reconcile.Result{}, nil
	}
	outcome := condition.Waiting("waiting for the kubelet to report since the machine was started")
	s.nodeReady = &outcome
	return reconcile.Result{RequeueAfter: freshInterval}, nil
}
