package managedcluster

import (
	"context"
	"fmt"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// handOnRestore tells the control plane which backup its data are to be
// replaced by. What its host has begun is brought to its end: half of a backup
// is nothing that an API server could start on.
func (p *controlPlane) handOnRestore(ctx context.Context, s *scope) error {
	wanted := s.cluster.Spec.Restore
	if wanted != nil && !s.givesUp() && (s.controlPlane.Spec.Restore == nil || *s.controlPlane.Spec.Restore != *wanted) {
		changed := s.controlPlane.DeepCopy()
		changed.Spec.Restore = wanted
		if err := p.config.Client.Update(ctx, changed); err != nil {
			return fmt.Errorf("handing the restore on to the control plane: %w", err)
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
	if operation.Verb != meta.VerbRestore && operation.Verb != meta.VerbCreate {
		return nil
	}
	return s.controlPlane.Status.Restore.Failure
}
