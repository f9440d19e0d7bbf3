package managedcluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/naming"
)

// CodeBackupFailed is the code of an upgrade that was taken back because there
// was no backup to go back to.
const CodeBackupFailed = "UpgradeBackupFailed"

// keptAfterLift is for how long a lifted upgrade can still be taken back by
// restoring what was there before: somebody notices within a working week.
const keptAfterLift = 7 * 24 * time.Hour

// upgradeBackupTime is how long the backup before an upgrade may take.
const upgradeBackupTime = 10 * time.Minute

// upgradeBackup has a backup taken before the binaries of another minor are
// swapped in, and lets go of those that nothing can go back to any more.
type upgradeBackup struct {
	config Config
}

func (p *upgradeBackup) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	s.backup = condition.Waiting("looking for the backup before the upgrade")
	var list v1alpha1.BackupList
	if err := p.config.Client.List(ctx, &list, client.MatchingLabels{v1alpha1.BackupUpgradeLabel: s.incarnation()}); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing the backups of upgrades: %w", err)
	}
	kept, left := s.keptBackups()
	for i := range list.Items {
		if backup := &list.Items[i]; !slices.Contains(kept, backup.Name) && backup.DeletionTimestamp == nil {
			if err := p.config.Client.Delete(ctx, backup); client.IgnoreNotFound(err) != nil {
				return reconcile.Result{}, fmt.Errorf("deleting the backup of an upgrade: %w", err)
			}
		}
	}
	result := reconcile.Result{RequeueAfter: left}
	u := s.cluster.Spec.Upgrade
	if !u.Revocable() || u.BackupName == "" {
		s.backup = condition.True("no backup is needed")
		return result, nil
	}
	found := slices.IndexFunc(list.Items, func(b v1alpha1.Backup) bool { return b.Name == u.BackupName })
	if found >= 0 {
		s.readBackup(&list.Items[found])
	}
	switch {
	case s.controlPlane == nil || s.controlPlane.Status.Version == "" || s.controlPlane.Spec.KubernetesVersion == u.ToVersion:
		s.backup = condition.True("there is nothing to go back to, or the swap is done")
	case found >= 0:
	case s.planeStops() || s.wantsStop():
		s.backup = condition.Waiting("the backup before the upgrade is taken when the cluster runs")
	case s.givesUp():
		s.backup = condition.Aborted()
	default:
		s.backup = condition.Waiting("taking a backup before the upgrade")
		return result, p.take(ctx, s)
	}
	return result, nil
}

// keptBackups are the names of the backups that something may still go back to,
// and for how long at most this is so.
func (s *scope) keptBackups() (names []string, left time.Duration) {
	if u := s.cluster.Spec.Upgrade; u.Revocable() {
		names = append(names, u.BackupName)
	} else if u.Restorable() && u.LiftTime != nil {
		if left = u.LiftTime.Add(keptAfterLift).Sub(s.now); left > 0 {
			names = append(names, u.BackupName)
		} else {
			left = 0
		}
	}
	if wanted := s.cluster.Spec.Restore; wanted != nil && wanted.ID != s.restored() {
		names = append(names, wanted.BackupName)
	}
	return names, left
}

// readBackup takes over how the backup stands.
func (s *scope) readBackup(backup *v1alpha1.Backup) {
	ready := apimeta.FindStatusCondition(backup.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case backup.Status.Failure != nil:
		s.backupFailure = &meta.Failure{Code: CodeBackupFailed, Message: fmt.Sprintf(
			"the backup that is taken before an upgrade failed (%s: %s), so the upgrade was taken back: the cluster runs as before. Upgrade again once that is mended.",
			backup.Status.Failure.Code, backup.Status.Failure.Message)}
		s.backup = condition.Outcome{Reason: CodeBackupFailed, Message: backup.Status.Failure.Message}
	case ready != nil && ready.Status == metav1.ConditionTrue:
		s.backup, s.backedUp = condition.True(ready.Message), ready.LastTransitionTime.Time
	case ready != nil:
		s.backup = condition.Waiting("taking a backup before the upgrade: " + ready.Message)
	default:
		s.backup = condition.Waiting("taking a backup before the upgrade")
	}
}

// take asks for the backup under the name that the upgrade was stored with.
func (p *upgradeBackup) take(ctx context.Context, s *scope) error {
	err := p.config.Client.Create(ctx, &v1alpha1.Backup{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.cluster.Spec.Upgrade.BackupName, Finalizers: []string{v1alpha1.BackupFinalizer},
			Labels: map[string]string{v1alpha1.BackupUpgradeLabel: s.incarnation()},
		},
		Spec: v1alpha1.BackupSpec{
			Incarnation: naming.Incarnation(), HostName: s.controlPlane.Spec.HostName, Origin: v1alpha1.BackupOfCluster,
			ClusterName: s.cluster.Name, ClusterIncarnation: s.incarnation(), Deadline: metav1.NewTime(s.now.Add(upgradeBackupTime)),
		},
	})
	if err != nil && !apierrors.IsAlreadyExists(err) { // the cache may not have seen it yet
		return fmt.Errorf("taking a backup before the upgrade: %w", err)
	}
	return nil
}

// steer is what the control plane is to run now: the new binaries wait for the backup.
func (s *scope) steer() (full, emulated string) {
	if s.heldBack() != nil {
		return s.controlPlane.Spec.KubernetesVersion, s.controlPlane.Spec.EmulatedVersion
	}
	return steer(s.cluster)
}

// heldBack says what the swap of the binaries waits for, nil if for nothing.
func (s *scope) heldBack() *condition.Outcome {
	full, _ := steer(s.cluster)
	if s.backup.True || s.controlPlane == nil || s.controlPlane.Spec.KubernetesVersion == full {
		return nil
	}
	return &s.backup
}

// awaitBackup tells what the upgrade waits for, or takes it back.
func (p *upgrade) awaitBackup(ctx context.Context, s *scope, waits condition.Outcome) error {
	if s.backupFailure != nil && !s.givesUp() {
		return p.rollBack(ctx, s, s.backupFailure)
	}
	s.report(v1alpha1.ConditionUpgraded, waits)
	return nil
}

// backups deletes what the cluster's upgrades left to go back to.
func (d deleter) backups(ctx context.Context, cluster *v1alpha1.ManagedCluster) (string, error) {
	var list v1alpha1.BackupList
	if err := d.config.Reader.List(ctx, &list, client.MatchingLabels{v1alpha1.BackupUpgradeLabel: cluster.Spec.Incarnation}); err != nil {
		return "", fmt.Errorf("listing the backups of upgrades: %w", err)
	}
	waits := ""
	for i := range list.Items {
		gone, err := d.delete(ctx, &list.Items[i])
		if err != nil {
			return "", err
		}
		if !gone {
			waits = "waiting for the backup before its upgrade to be deleted"
		}
	}
	return waits, nil
}
