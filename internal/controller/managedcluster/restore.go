package managedcluster

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// handOn tells the control plane what to run and which backup its data are to be
// replaced by, both at once: no version may start on the data of a later one.
// What its host has begun is brought to its end: half of a backup is nothing
// that an API server could start on.
func (p *controlPlane) handOn(ctx context.Context, s *scope) error {
	changed := s.controlPlane.DeepCopy()
	changed.Spec.KubernetesVersion, changed.Spec.EmulatedVersion = s.steer()
	if s.cluster.Spec.Restore != nil {
		changed.Spec.Restore = s.cluster.Spec.Restore
	}
	if !s.givesUp() && !equality.Semantic.DeepEqual(changed.Spec, s.controlPlane.Spec) {
		if err := p.config.Client.Update(ctx, changed); err != nil {
			return fmt.Errorf("telling the control plane what to run: %w", err)
		}
		s.controlPlane = changed
	}
	if s.controlPlane.Restoring() {
		s.finishFirst("the restore of the data, which cannot be left half done")
	}
	return nil
}

// restored tells apart what was applied before the data were replaced from what
// was applied since: the id of the last restore.
func (s *scope) restored() string {
	if s.controlPlane == nil || s.controlPlane.Status.Restore == nil {
		return ""
	}
	return s.controlPlane.Status.Restore.ID
}

// restoreFailure is why a restore changed nothing, nil for any other operation
// and for one that succeeded.
func (s *scope) restoreFailure(operation meta.RunningOperation) *meta.Failure {
	if operation.Scope != meta.ScopeCluster || s.cluster.Spec.Restore == nil || s.restored() != s.cluster.Spec.Restore.ID {
		return nil
	}
	if !slices.Contains([]meta.Verb{meta.VerbRestore, meta.VerbCreate, meta.VerbRollback}, operation.Verb) {
		return nil
	}
	return s.controlPlane.Status.Restore.Failure
}
