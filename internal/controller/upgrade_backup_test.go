package controller_test

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

// backups does what the host agent does with backups and restores, at once.
// fullDisk makes backups fail.
func (w *world) backups() (changed bool) {
	w.t.Helper()
	if w.hostDown {
		return false
	}
	for _, backup := range w.allBackups() {
		observed := int64(len(backup.Status.Conditions))
		if backup.Status.Failure != nil || observed > 0 {
			observed = backup.Generation
		}
		changed = w.observe(&backup, containerservicev1.BackupFinalizer, &observed, func() {
			if w.fullDisk {
				backup.Status.Failure = &meta.Failure{Code: "InsufficientStorage", Message: "the disk has no room for the backup"}
				return
			}
			w.swapped = append(w.swapped, w.plane().Spec.KubernetesVersion)
			now := metav1.NewTime(w.clock.Now())
			backup.Status.Time, backup.Status.Revision = &now, 7
			w.setTrue(&backup, &backup.Status.Conditions, containerservicev1.ConditionStored, containerservicev1.ConditionVerified, containerservicev1.ConditionReady)
		}) || changed
	}
	var planes containerservicev1.ControlPlaneList
	must(w.t, w.api.List(context.Background(), &planes))
	for i := range planes.Items {
		plane := &planes.Items[i]
		if !plane.Restoring() || plane.DeletionTimestamp != nil {
			continue
		}
		found := false
		for _, backup := range w.allBackups() {
			found = found || backup.Name == plane.Spec.Restore.BackupName && backup.DeletionTimestamp == nil
		}
		if !found {
			w.t.Fatalf("the control plane is to be restored from %s, which is gone", plane.Spec.Restore.BackupName)
		}
		w.swapped = append(w.swapped, "restored at "+plane.Spec.KubernetesVersion)
		plane.Status.Restore = &containerservicev1.RestoreStatus{ID: plane.Spec.Restore.ID, Time: metav1.NewTime(w.clock.Now()), Revision: 100}
		w.settled(w.api.Status().Update(context.Background(), plane))
		changed = true
	}
	return changed
}

func (w *world) allBackups() []containerservicev1.Backup {
	w.t.Helper()
	var list containerservicev1.BackupList
	must(w.t, w.api.List(context.Background(), &list))
	return list.Items
}

// upgradeBackedUp is upgrade as the front end writes it now: with the name of a backup.
func (w *world) upgradeBackedUp(to string, pools bool) {
	w.t.Helper()
	w.upgrade("demo", to, pools)
	c := w.cluster("demo")
	c.Spec.Upgrade.BackupName = "upgrade-demo"
	must(w.t, w.api.Update(context.Background(), c))
}

// goBack writes what the front end writes for a rollback after the lift.
func (w *world) goBack() {
	w.t.Helper()
	c := w.cluster("demo")
	backup := c.Spec.Upgrade.BackupName
	c.Spec.RollBack()
	c.Spec.Upgrade = nil
	c.Spec.Restore = &containerservicev1.Restore{ID: "back", BackupName: backup, Required: true}
	c.Spec.Operations = append(c.Spec.Operations, w.running(meta.ScopeCluster, "back", meta.VerbRollback, c.Generation+1))
	must(w.t, w.api.Update(context.Background(), c))
}

// keeps asserts how many backups there are.
func (w *world) keeps(n int) {
	w.t.Helper()
	if all := w.allBackups(); len(all) != n {
		w.t.Errorf("%d backups are kept, want %d", len(all), n)
	}
}

func TestAKillBehindAnyWriteOfABackupBeforeAnUpgradeHeals(t *testing.T) {
	made := func(w *world) { w.put("demo", 0); w.live() } // nodes are other stories'
	lifted := func(w *world) {
		made(w)
		w.upgradeBackedUp("1.36.3", true)
		w.live()
		w.later(soak)
		w.live()
		w.ended("upgrade", meta.OperationSucceeded)
	}
	heals(t, map[string]story{
		"an upgrade that is backed up first": {
			before: made,
			event:  func(w *world) { w.upgradeBackedUp("1.36.3", true) },
			check: func(w *world) {
				w.emulates("1.36.3", "1.35")
				w.keeps(1)
				if len(w.swapped) != 1 || w.swapped[0] != "1.35.4" {
					w.t.Errorf("the backups were taken of %v, want one of 1.35.4", w.swapped)
				}
			},
		},
		"a rollback after the lift": {
			before: lifted,
			event:  func(w *world) { w.goBack() },
			check: func(w *world) {
				w.ended("back", meta.OperationSucceeded)
				w.emulates("1.35.4", "")
				w.poolRuns("1.35.4")
				w.keeps(0)
				if last := w.swapped[len(w.swapped)-1]; last != "restored at 1.35.4" {
					w.t.Errorf("the data were %s: no older version may start on them, and no later one either", last)
				}
			},
		},
		"the end of its retention": {
			before: lifted,
			event:  func(w *world) { w.keeps(1); w.later(7 * 24 * time.Hour) },
			check:  func(w *world) { w.keeps(0); w.emulates("1.36.3", "") },
		},
		"delete": {
			before: func(w *world) { made(w); w.upgradeBackedUp("1.36.3", true); w.live(); w.keeps(1) },
			event:  func(w *world) { w.delete("demo") },
			check:  func(w *world) { w.keeps(0) },
		},
	})
}

func TestAnUpgradeWhoseBackupFailsChangesNothing(t *testing.T) {
	w := demo(t, 1)
	w.fullDisk = true
	w.upgradeBackedUp("1.36.3", true)
	w.live()
	w.emulates("1.35.4", "")
	w.poolRuns("1.35.4")
	w.ended("upgrade", meta.OperationFailed)
	if failure := w.cluster("demo").Status.Failure; failure == nil || failure.Code != "UpgradeBackupFailed" || !strings.Contains(failure.Message, "no room") {
		t.Errorf("failure = %+v", failure)
	}
	w.keeps(0)
	w.fullDisk = false
	w.upgradeAs("again", "demo", "1.36.3", false)
	w.live()
	w.ended("again", meta.OperationSucceeded)
}

func TestAnUpgradeThatIsRolledBackBeforeTheLiftKeepsNoBackup(t *testing.T) {
	w := demo(t, 1)
	w.upgradeBackedUp("1.36.3", false)
	w.live()
	w.keeps(1)
	w.rollBack("demo")
	w.live()
	w.emulates("1.35.4", "")
	w.keeps(0)
	if len(w.swapped) != 1 {
		t.Errorf("the world saw %v", w.swapped)
	}
}
