package machine

import (
	"context"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controller/nodeprofile"
	"berth.dev/berth/internal/tenant"
)

// node sees the Kubernetes node register and become ready, and gives it what a
// kubelet may not give itself: its pod range, labels that are the pool's, its role.
type node struct{}

// roleLabel is the label behind the ROLES column of kubectl, as AKS sets it.
const roleLabel = "node-role.kubernetes.io/agent"

func (p *node) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if s.tenant == nil {
		return reconcile.Result{}, nil
	}
	filled, err := s.tenant.Follow(ctx, tenant.Nodes)
	if err != nil || !filled {
		return reconcile.Result{}, err
	}
	found := &corev1.Node{}
	err = s.tenant.Reader.Get(ctx, client.ObjectKey{Name: s.machine.Spec.NodeName}, found)
	s.nodeKnown = err == nil || apierrors.IsNotFound(err)
	if apierrors.IsNotFound(err) {
		outcome := condition.Waiting("waiting for the node to register")
		s.nodeReady = &outcome
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading node %s: %w", s.machine.Spec.NodeName, err)
	}
	s.node = found
	outcome := readiness(found)
	if s.cluster != nil && s.cluster.Spec.Network.Plugin == v1alpha1.NetworkPluginNone && lacksPlugin(outcome) {
		outcome.True = true // it is all that the service makes of it
	}
	s.nodeReady = &outcome
	if err := p.complete(ctx, s); err != nil {
		return reconcile.Result{}, err
	}
	return p.fresh(ctx, s)
}

// readiness is what the node says of itself.
func readiness(found *corev1.Node) condition.Outcome {
	for _, c := range found.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return condition.Outcome{True: c.Status == corev1.ConditionTrue, Reason: c.Reason, Message: c.Message}
		}
	}
	return condition.Waiting("waiting for the kubelet to report")
}

// lacksPlugin says that a node is not ready for want of a network plugin alone.
func lacksPlugin(outcome condition.Outcome) bool {
	return !outcome.True && outcome.Reason == "KubeletNotReady" && strings.HasPrefix(outcome.Message, "container runtime network not ready: ")
}

// complete writes into the node what is missing, and takes away what its pool
// no longer wants on it.
func (p *node) complete(ctx context.Context, s *scope) error {
	changed := s.node.DeepCopy()
	registered := nodeprofile.Profile{Labels: s.machine.Spec.Labels, Taints: s.machine.Spec.Taints}
	wanted, tainted := registered, false
	if s.pool != nil && s.cluster != nil { // what the pool wants may change during the life of a machine
		wanted = nodeprofile.Of(s.cluster, s.pool.Spec.Profile, s.machine.Spec.Zone)
		tainted = wanted.Apply(changed, registered)
	}
	if changed.Labels == nil {
		changed.Labels = map[string]string{}
	}
	if _, ok := changed.Labels[roleLabel]; !ok {
		changed.Labels[roleLabel] = ""
	}
	if changed.Spec.PodCIDR == "" && s.machine.Spec.PodCIDR != "" {
		changed.Spec.PodCIDR = s.machine.Spec.PodCIDR
		changed.Spec.PodCIDRs = []string{s.machine.Spec.PodCIDR}
	}
	if !tainted && maps.Equal(changed.Labels, s.node.Labels) && changed.Spec.PodCIDR == s.node.Spec.PodCIDR &&
		changed.Annotations[nodeprofile.Annotation] == s.node.Annotations[nodeprofile.Annotation] {
		s.profile = wanted.Digest()
		return nil
	}
	patch := client.MergeFrom(s.node)
	if tainted { // a patch replaces the whole list, which others change, too
		patch = client.MergeFromWithOptions(s.node, client.MergeFromWithOptimisticLock{})
	}
	if err := s.tenant.Client.Patch(ctx, changed, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("completing node %s: %w", s.node.Name, err)
	}
	s.node, s.profile = changed, wanted.Digest()
	return nil
}
