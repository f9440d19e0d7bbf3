package machine

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/naming"
)

// finalize runs the delete list: the tenant takes no new pods onto the node, the
// host takes the machine down, the node leaves the cluster, and all that the
// machine held is given back.
func (c *Controller) finalize(ctx context.Context, s *scope) error {
	if !controllerutil.ContainsFinalizer(s.machine, v1alpha1.MachineNodeFinalizer) {
		return nil
	}
	for _, deletion := range []func(context.Context, *scope) (waits string, err error){
		c.cordon, c.host, c.node, c.claims,
	} {
		waits, err := deletion(ctx, s)
		if err == nil && waits == "" {
			continue
		}
		outcome := condition.Outcome{True: true, Reason: condition.ReasonDeleting, Message: waits}
		if err != nil {
			outcome.Reason, outcome.Message = condition.ReasonError, err.Error()
		}
		if statusErr := c.reportDeleting(ctx, s, outcome); err == nil {
			err = client.IgnoreNotFound(statusErr)
		}
		return err
	}
	controllerutil.RemoveFinalizer(s.machine, v1alpha1.MachineNodeFinalizer)
	if err := c.config.Client.Update(ctx, s.machine); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	return nil
}

func (c *Controller) reportDeleting(ctx context.Context, s *scope, outcome condition.Outcome) error {
	original := s.machine.DeepCopy()
	stamp := condition.Stamp{Generation: s.machine.Generation, Time: s.now}
	stamp.Set(&s.machine.Status.Conditions, v1alpha1.ConditionDeleting, outcome)
	stamp.Set(&s.machine.Status.Conditions, v1alpha1.ConditionReady, condition.Outcome{
		Reason: condition.ReasonDeleting, Message: outcome.Message,
	})
	return c.patchStatus(ctx, original, s.machine)
}

// cordon keeps new pods away from a node that goes alone. A tenant that cannot
// be reached now is no reason to keep the machine.
func (c *Controller) cordon(ctx context.Context, s *scope) (string, error) {
	if s.tenant == nil || s.clusterGoes() || !controllerutil.ContainsFinalizer(s.machine, v1alpha1.MachineFinalizer) {
		return "", nil
	}
	found := &corev1.Node{}
	err := s.tenant.Client.Get(ctx, client.ObjectKey{Name: s.machine.Spec.NodeName}, found)
	if err != nil || found.Spec.Unschedulable {
		return "", nil //nolint:nilerr // see above
	}
	changed := found.DeepCopy()
	changed.Spec.Unschedulable = true
	_ = s.tenant.Client.Patch(ctx, changed, client.MergeFrom(found)) // see above
	return "", nil
}

// host waits until the host agent has taken the machine down.
func (c *Controller) host(_ context.Context, s *scope) (string, error) {
	if controllerutil.ContainsFinalizer(s.machine, v1alpha1.MachineFinalizer) {
		return "waiting for the host to take the machine down", nil
	}
	return "", nil
}

// node deletes the tenant's Node and token. With the cluster they go anyway;
// where the API server never answered, there are none.
func (c *Controller) node(ctx context.Context, s *scope) (string, error) {
	if s.clusterGoes() || s.tenant == nil && s.cluster.Status.CurrentKubernetesVersion == "" {
		return "", nil
	}
	if s.tenant == nil {
		return "waiting for the API server of the cluster, to delete the node from it", nil
	}
	if err := errors.Join(deleteToken(ctx, s), deleteLeftovers(ctx, s)); err != nil {
		return "", err
	}
	gone := &corev1.Node{}
	gone.Name = s.machine.Spec.NodeName
	if err := s.tenant.Client.Delete(ctx, gone); client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("deleting node %s: %w", gone.Name, err)
	}
	return "", nil
}

// claims gives back what the machine held in the management API.
func (c *Controller) claims(ctx context.Context, s *scope) (string, error) {
	owner := allocation.Owner{Name: s.machine.Name, Incarnation: s.machine.Spec.Incarnation}
	network := ""
	if s.cluster != nil {
		network = naming.VirtualNetwork(s.cluster.Spec.Network.VirtualNetworkID, s.cluster.Spec.Incarnation)
	}
	return "", c.allocator.ReleaseMachine(ctx, network, owner)
}
