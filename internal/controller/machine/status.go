package machine

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
)

// registerTime is how long a node that registers is awaited in silence.
const registerTime = 5 * time.Second

// registers says that a machine has just come up and that all there is to say is
// that its node is awaited, and for how long that is not worth a write.
func (s *scope) registers() time.Duration {
	conditions := s.machine.Status.Conditions
	up := apimeta.FindStatusCondition(conditions, v1alpha1.ConditionProvisioned)
	if s.node != nil || !s.nodeKnown || s.drained != nil || up == nil || up.Status != metav1.ConditionTrue ||
		!v1alpha1.ConditionTrue(conditions, v1alpha1.ConditionNetworked) || apimeta.FindStatusCondition(conditions, v1alpha1.ConditionNodeReady) != nil {
		return 0
	}
	left := up.LastTransitionTime.Add(registerTime).Sub(s.now)
	if left > registerTime { // the clock was set back
		return 0
	}
	return max(left, 0)
}

// writeStatus computes the conditions that are this controller's and writes
// them under the resourceVersion: the host agent writes into the same list.
func (c *Controller) writeStatus(ctx context.Context, s *scope) error {
	original := s.machine.DeepCopy()
	status := &s.machine.Status
	stamp := condition.Stamp{Generation: s.machine.Generation, Time: s.now}
	stamp.Set(&status.Conditions, v1alpha1.ConditionNodeReady, s.nodeOutcome())
	stamp.Set(&status.Conditions, v1alpha1.ConditionBootstrapped, s.bootstrapOutcome())
	if s.tokenGone && s.authority != "" {
		status.Authority = s.authority
	}
	stamp.Set(&status.Conditions, v1alpha1.ConditionReady, s.readyOutcome())
	if s.drained != nil {
		stamp.Set(&status.Conditions, v1alpha1.ConditionDrained, *s.drained)
	} else {
		apimeta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionDrained)
	}
	if s.node != nil {
		status.NodeUID = string(s.node.UID)
		if s.profile != "" {
			status.NodeProfile = s.profile
		}
		status.KubeletVersion = s.node.Status.NodeInfo.KubeletVersion
	}
	return c.patchStatus(ctx, original, s.machine)
}

func (c *Controller) patchStatus(ctx context.Context, original, changed *v1alpha1.Machine) error {
	if equality.Semantic.DeepEqual(original.Status, changed.Status) {
		return nil
	}
	patch := client.MergeFromWithOptions(original, client.MergeFromWithOptimisticLock{})
	if err := c.config.Client.Status().Patch(ctx, changed, patch); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

// nodeOutcome is what was seen of the node; while nothing can be seen, what was
// seen last stays.
func (s *scope) nodeOutcome() condition.Outcome {
	if s.nodeReady != nil {
		return *s.nodeReady
	}
	return condition.Mirror(s.machine.Status.Conditions, v1alpha1.ConditionNodeReady, "waiting for the control plane")
}

// readyOutcome is the first condition that is missing.
func (s *scope) readyOutcome() condition.Outcome {
	for _, conditionType := range []string{
		v1alpha1.ConditionProvisioned, v1alpha1.ConditionNetworked, v1alpha1.ConditionNodeReady,
	} {
		outcome := condition.Mirror(s.machine.Status.Conditions, conditionType, "waiting for the host agent")
		if outcome.True && s.hostIsBehind(conditionType) {
			return condition.Waiting("waiting for the host agent to see the change")
		}
		if !outcome.True {
			return outcome
		}
	}
	if !s.bootstrapped && s.machine.Status.Authority == "" { // nobody could read logs or run a command there yet
		return s.bootstrapOutcome()
	}
	return condition.True("the node is ready")
}

// hostIsBehind says that the host agent told a condition before the machine was
// told to start or to stop.
func (s *scope) hostIsBehind(conditionType string) bool {
	told := apimeta.FindStatusCondition(s.machine.Status.Conditions, conditionType)
	return conditionType == v1alpha1.ConditionProvisioned && told.ObservedGeneration < s.machine.Generation
}
