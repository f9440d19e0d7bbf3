package managedcluster

import (
	apimeta "k8s.io/apimachinery/pkg/api/meta"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
)

// conditions are those of the phases, in the order in which a person reads them.
func conditions() []string {
	return []string{
		v1alpha1.ConditionReleaseReady, v1alpha1.ConditionCredentialsReady, v1alpha1.ConditionNetworkReady,
		v1alpha1.ConditionControlPlaneReady, v1alpha1.ConditionUpgraded, v1alpha1.ConditionAddonsReady, v1alpha1.ConditionAgentPoolsReady,
	}
}

// writeStatus computes the whole status but what follows from operations that
// end: every condition, every time.
func (s *scope) writeStatus() {
	status := &s.cluster.Status
	stamp := condition.Stamp{Generation: s.cluster.Generation, Time: s.now}
	for _, conditionType := range conditions() {
		stamp.Set(&status.Conditions, conditionType, s.outcome(conditionType))
	}
	_, blocking := s.blocking()
	if blocking.True {
		blocking.Message = "the cluster is as it should be"
	}
	if s.wantsStop() {
		stopped := s.outcome(v1alpha1.ConditionStopped)
		stamp.Set(&status.Conditions, v1alpha1.ConditionStopped, stopped)
		blocking = condition.Stopped("the cluster is stopped: " + stopped.Message)
	} else {
		apimeta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStopped)
	}
	stamp.Set(&status.Conditions, v1alpha1.ConditionReady, blocking)
	stamp.Set(&status.Conditions, v1alpha1.ConditionUnsupportedProperties, unsupported(s.cluster))
	s.writeCertificates(stamp)
	tellAutoUpgrade(status, stamp)

	status.ObservedGeneration = s.cluster.Generation
	status.PowerState = s.cluster.ObservedPowerState()
	if s.apiServer.IsValid() {
		status.Address = s.apiServer.String()
	}
	if len(s.outbound) > 0 {
		status.OutboundAddress, status.OutboundAddresses = s.outbound[0], s.outbound
	}
	if s.controlPlane != nil {
		status.FQDN = s.controlPlane.Spec.FQDN
		if served := s.served(); served != "" {
			status.CurrentKubernetesVersion = served
		}
		s.writeUpgrade(status)
	}
}

// writeOperationStatus tells what follows from the operations that end with
// this Reconcile, as if the spec had lost them already, and the progress of the others.
func (s *scope) writeOperationStatus(ended []ending) {
	status := &s.cluster.Status
	without := s.cluster.DeepCopy()
	takeOut(without, ended)
	for _, e := range ended {
		if e.operation.Scope == meta.ScopeCluster && !e.gaveUp() {
			status.Failure = e.record.Failure
		}
	}
	without.Status.Failure = status.Failure
	status.ProvisioningState = without.DeriveProvisioningState()
	status.Progress = nil
	for _, operation := range without.Spec.Operations {
		phase, outcome := s.waitsFor(operation)
		if operation.Abort != nil {
			outcome.Message = "giving up; waiting for " + s.gaveUp(operation.Scope)
		}
		status.Progress = append(status.Progress, meta.Progress{
			Scope: operation.Scope, Phase: phase, Message: outcome.Message,
		})
	}
}

// outcome is what a phase said of a condition, or that it is still to come.
func (s *scope) outcome(conditionType string) condition.Outcome {
	if outcome, ok := s.outcomes[conditionType]; ok {
		return outcome
	}
	return condition.Waiting("waiting for earlier phases")
}

// blocking is the condition that holds the cluster up, or a true outcome: the
// first that something is wrong with, or else the first that is not true.
func (s *scope) blocking() (conditionType string, outcome condition.Outcome) {
	conditionType, outcome = v1alpha1.ConditionReady, condition.True("")
	for _, candidate := range conditions() {
		told := s.outcome(candidate)
		if told.True {
			continue
		}
		if condition.Code(told.Reason) != condition.CodeTimedOut {
			return candidate, told
		}
		if outcome.True {
			conditionType, outcome = candidate, told
		}
	}
	return conditionType, outcome
}

// waitsFor is the condition that an operation waits for, or a true outcome. A
// pool's operation waits for that pool alone.
func (s *scope) waitsFor(operation meta.RunningOperation) (conditionType string, outcome condition.Outcome) {
	if operation.Scope == meta.ScopeCluster && s.wantsStop() {
		return v1alpha1.ConditionStopped, s.outcome(v1alpha1.ConditionStopped)
	}
	if outcome, rotates := s.rotated[operation.Verb]; rotates && !outcome.True {
		return v1alpha1.ConditionCredentialsReady, outcome
	}
	if operation.Scope == meta.ScopeCluster {
		return s.blocking()
	}
	if !s.poolsKnown {
		return v1alpha1.ConditionAgentPoolsReady, condition.Waiting("waiting for the agent pools to be read")
	}
	return v1alpha1.ConditionAgentPoolsReady, poolOutcome(s, operation.Scope)
}

// remove drops an operation from a list.
func remove(operations []meta.RunningOperation, id string) []meta.RunningOperation {
	var kept []meta.RunningOperation
	for _, operation := range operations {
		if operation.ID != id {
			kept = append(kept, operation)
		}
	}
	return kept
}
