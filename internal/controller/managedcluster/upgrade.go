package managedcluster

import (
	"context"
	"fmt"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
)

// CodeRolledBack is the code of an upgrade that was taken back because the new
// control plane did not stay healthy.
const CodeRolledBack = "ControlPlaneUpgradeRolledBack"

// unhealthyFor is for how long a new control plane may be unhealthy at a stretch
// before its upgrade is taken back: many times what a start takes.
const unhealthyFor = 3 * time.Minute

// steer says which version a control plane is to run, and which minor it is to
// emulate. Both follow from the desired state: whoever lifts an upgrade or takes
// it back writes that, and of two who do so at once only one succeeds.
func steer(cluster *v1alpha1.ManagedCluster) (full, emulated string) {
	if u := cluster.Spec.Upgrade; u.Revocable() && u.ToVersion == cluster.Spec.KubernetesVersion {
		return u.ToVersion, minor(u.FromVersion)
	}
	return cluster.Spec.KubernetesVersion, ""
}

// upgrade watches a control plane that emulates the minor before: it lets it
// serve its own after the soak, or takes the upgrade back.
type upgrade struct {
	config Config
}

func (p *upgrade) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if s.planeStops() {
		s.report(v1alpha1.ConditionUpgraded, condition.Stopped("the control plane is stopped"))
		return reconcile.Result{}, nil
	}
	if held := s.heldBack(); held != nil {
		return reconcile.Result{}, p.awaitBackup(ctx, s, *held)
	}
	arrived := s.arrived()
	if !s.cluster.Spec.Upgrade.Revocable() {
		s.report(v1alpha1.ConditionUpgraded, arrived)
		return reconcile.Result{}, nil
	}
	if s.givesUp() {
		s.report(v1alpha1.ConditionUpgraded, condition.Aborted())
		return reconcile.Result{}, nil
	}
	now := time.Duration(0)
	if operation := s.cluster.Operation(meta.ScopeCluster); operation != nil && operation.Verb == meta.VerbUpgrade {
		if failure, left := s.fails(); failure != nil {
			return reconcile.Result{}, p.rollBack(ctx, s, failure)
		} else if left > 0 {
			now = left
		}
	}
	left, soaking := s.soaking()
	if soaking && left <= 0 {
		return reconcile.Result{}, p.lift(ctx, s)
	}
	result := sooner(reconcile.Result{RequeueAfter: now}, reconcile.Result{RequeueAfter: left})
	s.report(v1alpha1.ConditionUpgraded, s.emulating(arrived, soaking, left))
	return result, nil
}

// arrived says whether the API server serves what it is to serve.
func (s *scope) arrived() condition.Outcome {
	ready := s.outcome(v1alpha1.ConditionControlPlaneReady)
	if !ready.True {
		return condition.Waiting("waiting for the control plane: " + ready.Message)
	}
	full, emulated := steer(s.cluster)
	if status := s.controlPlane.Status; status.Version != full || status.EmulatedVersion != emulated {
		return condition.Waiting(fmt.Sprintf("waiting for the API server to be that of Kubernetes %s%s; it is that of %s%s",
			full, behaving(emulated), status.Version, behaving(status.EmulatedVersion)))
	}
	return condition.True("the API server is that of Kubernetes " + full + behaving(emulated))
}

func behaving(emulated string) string {
	if emulated == "" {
		return ""
	}
	return ", which behaves as " + emulated
}

// healthySince is since when the new control plane has been healthy without a
// break; false while it is not.
func (s *scope) healthySince() (time.Time, bool) {
	if !s.arrived().True || s.controlPlane.Status.HealthySince == nil || s.controlPlane.Status.VersionSince == nil {
		return time.Time{}, false
	}
	since := s.controlPlane.Status.HealthySince.Time
	if versionSince := s.controlPlane.Status.VersionSince.Time; versionSince.After(since) {
		since = versionSince
	}
	return since, true
}

// soaking says how long the control plane has to stay healthy until it is lifted.
func (s *scope) soaking() (left time.Duration, soaking bool) {
	since, healthy := s.healthySince()
	if !healthy {
		return 0, false
	}
	return since.Add(s.cluster.Spec.Upgrade.Soak.Duration).Sub(s.now), true
}

// fails says why the upgrade is to be taken back, or after what time it may be.
// A build of the release takes as long as it takes.
func (s *scope) fails() (*meta.Failure, time.Duration) {
	if s.controlPlane == nil || s.controlPlane.Status.ObservedGeneration < s.controlPlane.Generation ||
		!s.outcome(v1alpha1.ConditionReleaseReady).True {
		return nil, 0
	}
	status, soak := s.controlPlane.Status, s.cluster.Spec.Upgrade.Soak.Duration
	failure := &meta.Failure{Code: CodeRolledBack}
	u := s.cluster.Spec.Upgrade
	if wrong, since := s.unhealthy(); wrong != "" {
		if left := s.begun(since).Add(unhealthyFor).Sub(s.now); left > 0 {
			return nil, left
		}
		failure.Message = fmt.Sprintf("the control plane of Kubernetes %s was not healthy for %s (%s), so the upgrade was taken back: the cluster runs Kubernetes %s again and has lost nothing. Its components' logs say more; then upgrade again.",
			u.ToVersion, unhealthyFor, wrong, u.FromVersion)
		return failure, 0
	}
	if u.ControlPlaneOnly {
		return nil, 0
	}
	left := status.VersionSince.Add(2*soak + unhealthyFor).Sub(s.now)
	if left > 0 {
		return nil, left
	}
	if remaining, soaking := s.soaking(); soaking && remaining <= 0 {
		return nil, 0 // it has just made it
	}
	failure.Message = fmt.Sprintf("the components of Kubernetes %s kept dying%s and were never healthy for %s at a stretch, so the upgrade was taken back: the cluster runs Kubernetes %s again and has lost nothing. Their logs say more; then upgrade again.",
		u.ToVersion, restarts(status.Components), soak, u.FromVersion)
	return failure, 0
}

// unhealthy says what is wrong with the new control plane, and since when at the
// earliest: it is not there yet, or was there and has gone.
func (s *scope) unhealthy() (wrong string, since time.Time) {
	status := s.controlPlane.Status
	full, emulated := steer(s.cluster)
	switch {
	case status.Version != full || status.EmulatedVersion != emulated || status.VersionSince == nil:
		return s.arrived().Message, time.Time{}
	case status.UnhealthySince != nil:
		return s.outcome(v1alpha1.ConditionControlPlaneReady).Message, status.UnhealthySince.Time
	default:
		return "", time.Time{}
	}
}

// begun is a time, or later if the upgrade could not begin before: what had been
// wrong for long is not the upgrade's fault, nor how long a build took.
func (s *scope) begun(since time.Time) time.Time {
	if operation := s.cluster.Operation(meta.ScopeCluster); operation != nil && operation.StartTime.After(since) {
		since = operation.StartTime.Time
	}
	built := apimeta.FindStatusCondition(s.controlPlane.Status.Conditions, v1alpha1.ConditionReleaseReady)
	if built != nil && built.LastTransitionTime.After(since) {
		since = built.LastTransitionTime.Time
	}
	if s.backedUp.After(since) {
		since = s.backedUp
	}
	return since
}

// restarts names what died and how often.
func restarts(components []v1alpha1.ComponentStatus) string {
	text, separator := "", ": "
	for _, c := range components {
		if c.Restarts == 0 {
			continue
		}
		text += fmt.Sprintf("%s%s %d times, last with %q", separator, c.Name, c.Restarts, c.LastExit)
		separator = ", "
	}
	return text
}

// emulating is how a revocable upgrade stands. One of the control plane alone
// is done once it emulates; any other goes on to the lift.
func (s *scope) emulating(arrived condition.Outcome, soaking bool, left time.Duration) condition.Outcome {
	u := s.cluster.Spec.Upgrade
	switch {
	case !arrived.True:
		return arrived
	case u.ControlPlaneOnly && soaking:
		return condition.True(fmt.Sprintf("%s; it can be rolled back until it is lifted, at %s or by command",
			arrived.Message, s.now.Add(left).UTC().Format(time.RFC3339)))
	case soaking:
		return condition.Waiting(fmt.Sprintf("%s: it is lifted at %s if it stays healthy until then", arrived.Message, s.now.Add(left).UTC().Format(time.RFC3339)))
	default:
		return condition.Waiting(arrived.Message + ": waiting for all its components to run")
	}
}

// lift decides that the control plane is to serve its own minor. From here on
// the upgrade cannot be taken back.
func (p *upgrade) lift(ctx context.Context, s *scope) error {
	s.report(v1alpha1.ConditionUpgraded, condition.Waiting("the soak is over: the control plane is being lifted"))
	s.cluster.Spec.Upgrade.Lift, s.cluster.Spec.Upgrade.LiftTime = true, &metav1.Time{Time: s.now}
	if err := p.config.Client.Update(ctx, s.cluster); err != nil {
		return fmt.Errorf("lifting the control plane: %w", err)
	}
	return nil
}

// rollBack decides that the control plane is to go back to where it was.
func (p *upgrade) rollBack(ctx context.Context, s *scope, failure *meta.Failure) error {
	s.report(v1alpha1.ConditionUpgraded, condition.Outcome{Reason: failure.Code, Message: failure.Message})
	s.cluster.Spec.RollBack()
	s.cluster.Spec.Upgrade.RolledBack = failure
	if err := p.config.Client.Update(ctx, s.cluster); err != nil {
		return fmt.Errorf("taking the upgrade back: %w", err)
	}
	return nil
}

// verdict is the failure of an upgrade that was taken back, nil for any other operation.
func (s *scope) verdict(operation meta.RunningOperation) *meta.Failure {
	if u := s.cluster.Spec.Upgrade; u != nil && operation.Verb == meta.VerbUpgrade && operation.Scope == meta.ScopeCluster {
		return u.RolledBack
	}
	return nil
}

// served is the version whose API is served, as observed; empty before the
// first answer.
func (s *scope) served() string {
	if s.controlPlane == nil {
		return ""
	}
	status := s.controlPlane.Status
	if status.EmulatedVersion == "" {
		return status.Version
	}
	if u := s.cluster.Spec.Upgrade; u != nil && minor(u.FromVersion) == status.EmulatedVersion {
		return u.FromVersion
	}
	return status.EmulatedVersion + ".0"
}

// hold keeps the nodes of a pool from getting ahead of the API that is served:
// its version changes once the control plane has arrived there.
func (s *scope) hold(profile *v1alpha1.AgentPoolProfile) {
	pool := s.pool(profile.Incarnation)
	if pool == nil || s.served() == "" || !ahead(profile.OrchestratorVersion, s.served()) {
		return
	}
	profile.OrchestratorVersion = pool.Spec.Profile.OrchestratorVersion
}

// writeUpgrade tells how a control plane that emulates stands.
func (s *scope) writeUpgrade(status *v1alpha1.ManagedClusterStatus) {
	status.Upgrade = nil
	if s.controlPlane == nil || s.controlPlane.Status.EmulatedVersion == "" {
		return
	}
	seen := s.controlPlane.Status
	status.Upgrade = &v1alpha1.UpgradeStatus{BinaryVersion: seen.Version, EmulatedVersion: seen.EmulatedVersion}
	if !s.cluster.Spec.Upgrade.Revocable() {
		return
	}
	if since, healthy := s.healthySince(); healthy {
		lift := metav1.NewTime(since.Add(s.cluster.Spec.Upgrade.Soak.Duration))
		status.Upgrade.HealthySince, status.Upgrade.LiftTime = &metav1.Time{Time: since}, &lift
	}
}

// minor is the minor of a full version: 1.35 of 1.35.4.
func minor(full string) string {
	v, err := version.ParseGeneric(full)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d.%d", v.Major(), v.Minor())
}

// ahead says that a is newer than b.
func ahead(a, b string) bool {
	va, errA := version.ParseGeneric(a)
	vb, errB := version.ParseGeneric(b)
	return errA == nil && errB == nil && vb.LessThan(va)
}
