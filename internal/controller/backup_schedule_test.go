package controller_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	resourcesv1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/controller/backupschedule"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/backup"
	"berth.dev/berth/internal/rp/resources"
)

// keeper is the resource provider of backups.
func (w *world) keeper(c client.Client) backupschedule.Keeper {
	return &backup.Provider{Client: c, Now: w.clock.Now}
}

// nightly takes a backup each night at three and keeps two.
func nightly() containerservicev1.BackupScheduleSpec {
	return containerservicev1.BackupScheduleSpec{Name: "nightly", Cron: "0 3 * * *", TimeZone: "UTC", KeepCount: 2}
}

// backedUp writes a backup schedule, as the front end does.
func (w *world) backedUp(spec containerservicev1.BackupScheduleSpec) {
	w.t.Helper()
	cluster := w.cluster("demo")
	spec.ClusterName, spec.ClusterIncarnation, spec.Since = cluster.Name, cluster.Spec.Incarnation, metav1.NewTime(w.clock.Now())
	known := &containerservicev1.BackupSchedule{}
	if w.api.Get(context.Background(), client.ObjectKey{Name: spec.Name}, known) == nil {
		spec.Incarnation = known.Spec.Incarnation
		known.Spec = spec
		must(w.t, w.api.Update(context.Background(), known))
		return
	}
	spec.Incarnation = "aaaaaaaaaa"
	w.create(&containerservicev1.BackupSchedule{
		ObjectMeta: metav1.ObjectMeta{Name: spec.Name, Labels: map[string]string{containerservicev1.BackupScheduleClusterLabel: cluster.Name}}, Spec: spec,
	})
}

func (w *world) backupSchedule() *containerservicev1.BackupSchedule {
	w.t.Helper()
	found := &containerservicev1.BackupSchedule{}
	must(w.t, w.api.Get(context.Background(), client.ObjectKey{Name: "nightly"}, found))
	return found
}

// says is the condition of the schedule.
func (w *world) says(status metav1.ConditionStatus, reason, text string) {
	w.t.Helper()
	c := apimeta.FindStatusCondition(w.backupSchedule().Status.Conditions, containerservicev1.ConditionScheduled)
	if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, text) {
		w.t.Fatalf("the condition says %+v, want %s %s with %q", c, status, reason, text)
	}
}

// holds compares the names of the backups that are there, by their days.
func (w *world) holds(want ...string) {
	w.t.Helper()
	names := []string{}
	for _, b := range w.allBackups() {
		names = append(names, b.Spec.Name)
	}
	slices.Sort(names)
	for i := range want {
		want[i] = "demo.nightly." + want[i]
	}
	if !slices.Equal(names, want) {
		w.t.Fatalf("the backups are %v, want %v", names, want)
	}
}

// backedUpDemo is a cluster with the schedule nightly; the epoch is 2026-11-21, 08:00 UTC.
func backedUpDemo(t *testing.T) *world {
	t.Helper()
	w := demo(t, 1)
	w.grouped()
	w.room(2)
	w.backedUp(nightly())
	w.live()
	return w
}

// grouped makes the group that the clusters lie in.
func (w *world) grouped() {
	w.t.Helper()
	spec := w.cluster("demo").Spec
	name := naming.Object(resources.GroupID(spec.SubscriptionID, spec.ResourceGroup).String())
	if w.api.Get(context.Background(), client.ObjectKey{Name: name}, &resourcesv1.ResourceGroup{}) == nil {
		return
	}
	w.create(&resourcesv1.ResourceGroup{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       resourcesv1.ResourceGroupSpec{SubscriptionID: spec.SubscriptionID, Name: spec.ResourceGroup},
	})
}

func TestABackupIsTakenAtEachDueTimeAndTheOldestGoes(t *testing.T) {
	w := backedUpDemo(t)
	w.says(metav1.ConditionTrue, "Scheduled", "2026-11-22T03:00:00Z")
	w.at("2026-11-22T02:59:59Z")
	w.holds()
	w.at("2026-11-22T03:00:01Z")
	w.holds("20261122-0300")
	w.at("2026-11-22T12:00:00Z")
	w.at("2026-11-23T03:00:00Z")
	w.holds("20261122-0300", "20261123-0300")
	w.at("2026-11-24T03:00:00Z")
	w.holds("20261123-0300", "20261124-0300")
	status := w.backupSchedule().Status
	if status.LastGood == nil || status.LastGood.Name != "demo.nightly.20261124-0300" || status.LastRun.Name != status.LastGood.Name {
		t.Errorf("the status is %+v", status)
	}
}

func TestBackupsThatCameDueWhileNobodyLookedAreMadeUpForByOne(t *testing.T) {
	w := backedUpDemo(t)
	w.start()
	w.at("2026-12-05T12:00:00Z")
	w.holds("20261205-0300")
	w.start()
	w.live()
	w.holds("20261205-0300")
}

func TestAScheduledBackupOfAStoppedClusterWaitsForItsStart(t *testing.T) {
	w := backedUpDemo(t)
	w.power("off", meta.VerbStop)
	w.live()
	w.at("2026-11-22T03:00:00Z")
	w.holds()
	w.says(metav1.ConditionFalse, "Waiting", "the backup that has been due since 2026-11-22T03:00:00Z waits: The managed cluster 'demo' does not run")
	w.at("2026-11-23T04:00:00Z")
	w.power("on", meta.VerbStart)
	w.live()
	w.holds("20261123-0300")
	w.says(metav1.ConditionTrue, "Scheduled", "2026-11-24T03:00:00Z")
}

func TestTheLastGoodBackupStaysWhateverItsAgeAndWhateverFails(t *testing.T) {
	w := backedUpDemo(t)
	spec := nightly()
	spec.KeepCount, spec.KeepDays = 50, 2
	w.backedUp(spec)
	w.at("2026-11-22T03:00:00Z")
	w.fullDisk = true
	for _, day := range []string{"23", "24", "25", "26", "27", "28"} {
		w.at("2026-11-" + day + "T03:00:00Z")
		w.holds("20261122-0300", "202611"+day+"-0300")
		w.says(metav1.ConditionFalse, "InsufficientStorage", "demo.nightly.202611"+day+"-0300 failed: the disk has no room")
	}
	w.fullDisk = false
	w.at("2026-11-29T03:00:00Z")
	w.holds("20261129-0300")
	w.says(metav1.ConditionTrue, "Scheduled", "2026-11-30T03:00:00Z")
	w.at("2026-11-30T03:00:00Z")
	w.holds("20261129-0300", "20261130-0300")
	w.at("2026-12-01T03:00:00Z")
	w.holds("20261130-0300", "20261201-0300")
}

func TestABackupThatIsBeingRestoredFromIsKept(t *testing.T) {
	w := backedUpDemo(t)
	w.at("2026-11-22T03:00:00Z")
	cluster := w.cluster("demo")
	cluster.Spec.Restore = &containerservicev1.Restore{ID: "r", BackupName: w.allBackups()[0].Name}
	cluster.Spec.Operations = append(cluster.Spec.Operations, meta.RunningOperation{ID: "r", Verb: meta.VerbRestore, Scope: meta.ScopeCluster})
	w.hostDown = true
	must(t, w.api.Update(context.Background(), cluster))
	for _, b := range []string{"23", "24", "25"} {
		w.backups24(b)
	}
	names := w.names(&containerservicev1.BackupList{})
	if !slices.Contains(names, cluster.Spec.Restore.BackupName) {
		t.Fatalf("the backup that is restored from is gone: %v", names)
	}
}

// backups24 lets a night pass in which only the backup of that night is taken.
func (w *world) backups24(day string) {
	w.t.Helper()
	w.at("2026-11-" + day + "T03:00:00Z")
	for _, b := range w.allBackups() {
		now := metav1.NewTime(w.clock.Now())
		b.Status.Time = &now
		w.setTrue(&b, &b.Status.Conditions, containerservicev1.ConditionStored, containerservicev1.ConditionVerified, containerservicev1.ConditionReady)
		must(w.t, w.api.Status().Update(context.Background(), &b))
	}
	w.live()
}

func TestABackupScheduleIsHeldUpByANameThatIsTaken(t *testing.T) {
	w := backedUpDemo(t)
	spec := w.cluster("demo").Spec
	id := resources.GroupID(spec.SubscriptionID, spec.ResourceGroup).String() + "/providers/Berth.ContainerService/backups/demo.nightly.20261122-0300"
	w.create(&containerservicev1.Backup{ObjectMeta: metav1.ObjectMeta{Name: naming.Object(id)}, Spec: containerservicev1.BackupSpec{Name: "demo.nightly.20261122-0300", HostName: "local"}})
	w.at("2026-11-22T03:00:00Z")
	w.says(metav1.ConditionFalse, "Waiting", "which this schedule did not take")
	w.at("2026-11-23T03:00:00Z")
	w.says(metav1.ConditionTrue, "Scheduled", "2026-11-24T03:00:00Z")
	w.holds("20261122-0300", "20261123-0300")
}

func TestABackupScheduleCountsFromItsChangeOnAndAClockThatRunsBackRepeatsNothing(t *testing.T) {
	w := backedUpDemo(t)
	off := nightly()
	off.Disabled = true
	w.backedUp(off)
	w.at("2026-11-22T03:00:00Z")
	w.says(metav1.ConditionTrue, "Disabled", "disabled")
	w.holds()
	w.at("2026-11-22T04:00:00Z")
	w.backedUp(nightly())
	w.live()
	w.holds()
	w.at("2026-11-23T03:00:00Z")
	w.at("2026-11-23T02:59:00Z")
	w.at("2026-11-23T03:00:30Z")
	w.holds("20261123-0300")
}

func TestABackupScheduleGoesWithItsClusterAndTheBackupsStay(t *testing.T) {
	w := backedUpDemo(t)
	w.at("2026-11-22T03:00:00Z")
	must(t, w.api.Delete(context.Background(), w.cluster("demo")))
	w.live()
	if left := w.names(&containerservicev1.BackupScheduleList{}); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
	w.holds("20261122-0300")
}

func TestAKillBehindAnyWriteOfAScheduledBackupHeals(t *testing.T) {
	heals(t, map[string]story{
		"scheduled backup": {
			before: func(w *world) {
				w.put("demo", 1)
				w.live()
				w.grouped()
				w.backedUp(nightly())
				w.live()
				w.at("2026-11-22T03:00:00Z")
				w.at("2026-11-23T03:00:00Z")
			},
			event: func(w *world) { w.clock.SetTime(epoch().AddDate(0, 0, 3).Add(-5 * 3600e9)) },
			check: func(w *world) {
				w.holds("20261123-0300", "20261124-0300")
				if run := w.backupSchedule().Status.LastRun; run == nil || run.Name != "demo.nightly.20261124-0300" {
					w.t.Errorf("the last run is %+v", run)
				}
			},
		},
	})
}
