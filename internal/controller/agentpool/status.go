package agentpool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/network"
)

// ReasonAllocationFailed says that no address, pod range or id range is left.
const ReasonAllocationFailed = "AllocationFailed"

// writeStatus computes the whole status but the failure, which the cluster's
// controller owns, and writes it if it changed.
func (c *Controller) writeStatus(ctx context.Context, s *scope, phaseErr error) error {
	original := s.pool.DeepCopy()
	status := &s.pool.Status
	machines := s.machinesOutcome()
	if phaseErr != nil {
		machines = condition.Failed(phaseErr)
		if errors.Is(phaseErr, network.ErrExhausted) {
			machines.Reason = ReasonAllocationFailed
		}
	}
	if s.pool.DeletionTimestamp != nil {
		waits := fmt.Sprintf("waiting for %d nodes to be deleted", len(s.slots)) + s.drainMessage()
		s.stamp().Set(&status.Conditions, v1alpha1.ConditionDeleting, condition.Outcome{
			True: true, Reason: condition.ReasonDeleting, Message: waits,
		})
		machines = condition.Outcome{Reason: condition.ReasonDeleting, Message: waits}
	}
	c.writeBlocked(s, status)
	if s.stops() && s.pool.DeletionTimestamp == nil {
		stopped := s.stoppedOutcome()
		s.stamp().Set(&status.Conditions, v1alpha1.ConditionStopped, stopped)
		machines = condition.Stopped("the pool is stopped: " + stopped.Message)
	} else {
		apimeta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStopped)
	}
	s.stamp().Set(&status.Conditions, v1alpha1.ConditionMachinesReady, machines)
	s.stamp().Set(&status.Conditions, v1alpha1.ConditionReady, machines)
	s.countMachines(status)
	status.CredentialsDigest = s.credentialed()
	status.ObservedGeneration = s.pool.Generation
	status.ObservedClusterGeneration = s.pool.Spec.ClusterGeneration
	if s.cluster != nil {
		status.ProvisioningState = s.cluster.DerivePoolProvisioningState(s.pool.Spec.Profile.Name, s.pool)
	}
	if equality.Semantic.DeepEqual(original.Status, *status) {
		return nil
	}
	if err := c.client.Status().Patch(ctx, s.pool, client.MergeFrom(original)); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

// writeBlocked says what nobody but a caller can mend. Its generation is that of
// the cluster which was looked at: pools that are being deleted are told none.
func (c *Controller) writeBlocked(s *scope, status *v1alpha1.AgentPoolStatus) {
	plan := s.plan()
	s.look(plan.next)
	if plan.blocked == nil || s.cluster == nil {
		apimeta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionBlocked)
		return
	}
	condition.Stamp{Generation: s.cluster.Generation, Time: s.now}.Set(&status.Conditions, v1alpha1.ConditionBlocked, condition.Outcome{
		True: true, Reason: plan.blocked.reason, Message: plan.blocked.message,
	})
}

// drainMessage names the first node that drains and what it waits for.
func (s *scope) drainMessage() string {
	for _, slot := range s.slots {
		if slot.drains() || slot.drainsToStop() && !stops(slot.machine.Spec.PowerState) {
			return fmt.Sprintf("; draining node %s: %s", slot.nodeName, cmp.Or(slot.message(v1alpha1.ConditionDrained), "about to begin"))
		}
	}
	return ""
}

// countMachines writes how many machines there are and what they run.
func (s *scope) countMachines(status *v1alpha1.AgentPoolStatus) {
	status.Count, status.ReadyCount, status.DeallocatedCount = 0, 0, 0
	var lowest *version.Version
	for _, slot := range s.slots {
		if slot.machine == nil {
			continue
		}
		if slot.deallocated() {
			status.DeallocatedCount++
			continue
		}
		status.Count++
		if slot.wanted() && v1alpha1.ConditionTrue(slot.machine.Status.Conditions, v1alpha1.ConditionReady) {
			status.ReadyCount++
		}
		if image := slot.machine.Status.NodeImage; image != "" {
			status.NodeImageVersion = image
		}
		kubelet, err := version.ParseSemantic(slot.machine.Status.KubeletVersion)
		if err == nil && (lowest == nil || kubelet.LessThan(lowest)) {
			lowest = kubelet
		}
	}
	if lowest != nil {
		status.CurrentOrchestratorVersion = strings.TrimPrefix(lowest.String(), "v")
	}
}

// machinesOutcome says whether there are exactly the machines that should be,
// and for the first that is not ready, why.
func (s *scope) machinesOutcome() condition.Outcome {
	ready, deleting, outdated := 0, 0, len(s.outdated())
	var blocking condition.Outcome
	for _, slot := range s.slots {
		switch {
		case slot.deallocated():
			if blocking.Reason == "" && !isStopped(slot.machine) {
				blocking = condition.Waiting(slot.nodeName + ": " + slot.whyRunning())
			}
		case slot.drains():
			if s.isOutdated(slot) {
				outdated++
			}
			deleting++
		case slot.deleting():
			deleting++
		case slot.isReady() && !s.isProfiled(slot) && blocking.Reason == "":
			blocking = condition.Waiting(slot.nodeName + ": waiting for the pool's labels and taints to be on the node")
		case slot.isReady():
			ready++
		case blocking.Reason == "":
			blocking = slot.outcome()
		}
	}
	progress := fmt.Sprintf("%d of %d nodes are ready", ready, s.count())
	if outdated > 0 && !s.stops() {
		progress += fmt.Sprintf("; %d are still to be replaced", outdated)
	}
	progress += s.drainMessage()
	switch {
	case blocking.Reason != "":
		return condition.Outcome{Reason: blocking.Reason, Message: progress + "; " + blocking.Message}
	case deleting > 0 || outdated > 0 && !s.stops():
		return condition.Outcome{Reason: condition.ReasonDeleting, Message: fmt.Sprintf("%s; %d are being deleted", progress, deleting)}
	case ready != s.count():
		return condition.Waiting(progress + "; waiting for the virtual network")
	default:
		return condition.True(progress)
	}
}

// outcome is the first condition of the slot's machine that is not true.
func (s *slot) outcome() condition.Outcome {
	outcome := condition.Waiting("waiting for the machine to be made")
	if s.machine != nil {
		for _, conditionType := range []string{
			v1alpha1.ConditionProvisioned, v1alpha1.ConditionNetworked, v1alpha1.ConditionNodeReady, v1alpha1.ConditionReady,
		} {
			waits := "waiting for the condition " + conditionType
			if conditionType == v1alpha1.ConditionNodeReady {
				waits = "waiting for the node to register"
			}
			outcome = condition.Mirror(s.machine.Status.Conditions, conditionType, waits)
			if !outcome.True {
				break
			}
		}
	}
	if outcome.True {
		outcome = condition.Waiting("waiting for the node")
	}
	outcome.Message = s.nodeName + ": " + outcome.Message
	return outcome
}

// stampTime is the time of this Reconcile as objects hold it.
func (s *scope) stampTime() metav1.Time { return metav1.NewTime(s.now) }
