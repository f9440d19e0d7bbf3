// Package backupschedule takes backups of clusters when their schedules are due,
// and deletes those that a schedule no longer keeps. Each due time is seen to at
// most once: the name of its backup follows from it. What came due while nobody
// looked is made up for by the latest of it alone; what a cluster does not admit
// yet waits, with the reason in the schedule's condition, until it does or a
// later time is due. The last good backup is never deleted.
package backupschedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/schedule"
)

// The reasons of the condition Scheduled.
const (
	reasonScheduled = "Scheduled"
	reasonDisabled  = "Disabled"
)

// lookAgain bounds how long a clock that jumps goes unseen, and how long
// something that waits, waits for another look.
const lookAgain = 30 * time.Second

// Keeper takes and deletes backups as a caller of the service would: it admits
// them, or fails with an *arm.Error.
type Keeper interface {
	// TakeScheduled asks for the backup of a due time and says its name; asked
	// again it asks for the same one.
	TakeScheduled(ctx context.Context, cluster *v1alpha1.ManagedCluster, schedule *v1alpha1.BackupSchedule, due time.Time) (name string, err error)
	// Drop deletes a backup.
	Drop(ctx context.Context, backup *v1alpha1.Backup) error
}

// Controller reconciles BackupSchedules.
type Controller struct {
	client client.Client
	clock  clock.PassiveClock
	keeper Keeper
}

// NewController makes the controller.
func NewController(c client.Client, clock clock.PassiveClock, keeper Keeper) *Controller {
	return &Controller{client: c, clock: clock, keeper: keeper}
}

// Register adds the controller to a manager.
func (c *Controller) Register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("backupschedule").
		For(&v1alpha1.BackupSchedule{}).
		Watches(&v1alpha1.Backup{}, handler.EnqueueRequestsFromMapFunc(c.scheduleOf)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 2,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

// scheduleOf is the schedule that took a backup.
func (c *Controller) scheduleOf(ctx context.Context, backup client.Object) []reconcile.Request {
	incarnation := backup.GetLabels()[v1alpha1.BackupScheduleLabel]
	if incarnation == "" {
		return nil
	}
	var list v1alpha1.BackupScheduleList
	if err := c.client.List(ctx, &list); err != nil {
		return nil // from a cache that is there: the next look at the schedule sees the backup as well
	}
	for i := range list.Items {
		if list.Items[i].Spec.Incarnation == incarnation {
			return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: list.Items[i].Name}}}
		}
	}
	return nil
}

// Reconcile sees to what is due, and to what is no longer kept, and says what is next.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	found := &v1alpha1.BackupSchedule{}
	if err := c.client.Get(ctx, request.NamespacedName, found); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	cluster := &v1alpha1.ManagedCluster{}
	if err := c.client.Get(ctx, client.ObjectKey{Name: found.Spec.ClusterName}, cluster); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if found.DeletionTimestamp != nil || cluster.DeletionTimestamp != nil || !found.Of(cluster) {
		return reconcile.Result{}, nil // it goes with its cluster
	}
	var backups v1alpha1.BackupList
	if err := c.client.List(ctx, &backups, client.MatchingLabels{v1alpha1.BackupScheduleLabel: found.Spec.Incarnation}); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing the backups of a schedule: %w", err)
	}
	l := &look{schedule: found.DeepCopy(), cluster: cluster, backups: backups.Items, now: c.clock.Now()}
	l.plan()
	if err := c.take(ctx, l); err != nil {
		return conflict.Retry(reconcile.Result{}, err)
	}
	if err := c.drop(ctx, l); err != nil {
		return conflict.Retry(reconcile.Result{}, err)
	}
	if err := c.report(ctx, found, l); err != nil {
		return conflict.Retry(reconcile.Result{}, err)
	}
	return reconcile.Result{RequeueAfter: l.again()}, nil
}

// look is what one look at a schedule finds and does.
type look struct {
	schedule *v1alpha1.BackupSchedule
	cluster  *v1alpha1.ManagedCluster
	backups  []v1alpha1.Backup
	now      time.Time

	// times are when the schedule is due, err is why they cannot be told.
	times schedule.Schedule
	err   error
	// waiting is what is due and waits, the zero time if nothing is; reason says for what.
	waiting time.Time
	reason  string
	// expires is when the next backup is too old to be kept, the zero time if none will be.
	expires time.Time
}

// plan reads the times.
func (l *look) plan() {
	zone, err := schedule.Zone(l.schedule.Spec.TimeZone)
	if err == nil {
		l.times, err = schedule.Parse(l.schedule.Spec.Cron, zone)
	}
	l.err = err // the resource provider lets in none of that kind
}

// after is the moment until which everything was seen to, or did not count.
func (l *look) after() time.Time {
	after := l.schedule.Spec.Since.Time
	if run := l.schedule.Status.LastRun; run != nil && run.Due.After(after) {
		after = run.Due.Time
	}
	return after
}

// next is when a backup is due next.
func (l *look) next() time.Time {
	if l.err != nil || l.schedule.Spec.Disabled {
		return time.Time{}
	}
	if after := l.after(); after.After(l.now) { // the clock ran back: what was seen to is not due again
		return l.times.Next(after)
	}
	return l.times.Next(l.now)
}

// take asks for the backup that is due.
func (c *Controller) take(ctx context.Context, l *look) error {
	if l.err != nil || l.schedule.Spec.Disabled {
		return nil
	}
	due, found := l.times.Last(l.after(), l.now)
	if !found {
		return nil
	}
	for i := range l.backups {
		b := &l.backups[i]
		same := b.Spec.Due != nil && b.Spec.Due.Time.Equal(due)
		if b.DeletionTimestamp == nil && b.DeriveProvisioningState() == v1alpha1.StateCreating && !same {
			l.waiting, l.reason = due, "the backup "+b.Spec.Name+" is still being taken"
			return nil
		}
	}
	name, err := c.keeper.TakeScheduled(ctx, l.cluster, l.schedule, due)
	var refused *arm.Error
	if errors.As(err, &refused) {
		l.waiting, l.reason = due, refused.Message
		return nil
	}
	if err != nil {
		return fmt.Errorf("taking the backup %s: %w", name, err)
	}
	l.schedule.Status.LastRun = &v1alpha1.BackupRun{Due: metav1.NewTime(due), Name: name}
	return nil
}

// drop deletes what is no longer kept.
func (c *Controller) drop(ctx context.Context, l *look) error {
	kept := sort(l.backups)
	if len(kept.good) > 0 {
		l.schedule.Status.LastGood = &v1alpha1.BackupRun{Due: *kept.good[0].Spec.Due, Name: kept.good[0].Spec.Name}
	} else {
		l.schedule.Status.LastGood = nil
	}
	if l.schedule.Spec.Disabled {
		return nil
	}
	surplus, expires := kept.surplus(l.schedule.Spec, l.now)
	l.expires = expires
	for _, backup := range surplus {
		err := c.keeper.Drop(ctx, backup)
		var refused *arm.Error
		if errors.As(err, &refused) { // it is restored from: another look comes by itself
			l.expires = schedule.Earlier(l.expires, l.now.Add(lookAgain))
			continue
		}
		if err != nil {
			return fmt.Errorf("deleting the backup %s: %w", backup.Spec.Name, err)
		}
	}
	return nil
}

// report writes the status.
func (c *Controller) report(ctx context.Context, original *v1alpha1.BackupSchedule, l *look) error {
	status := &l.schedule.Status
	status.NextRun = nil
	if next := l.next(); !next.IsZero() {
		at := metav1.NewTime(next)
		status.NextRun = &at
	}
	condition.Stamp{Generation: l.schedule.Generation, Time: l.now}.Set(&status.Conditions, v1alpha1.ConditionScheduled, l.outcome())
	if equality.Semantic.DeepEqual(original.Status, *status) {
		return nil
	}
	// Under the version that was looked at: the due time that was seen to must not be forgotten.
	if err := c.client.Status().Patch(ctx, l.schedule, client.MergeFromWithOptions(original, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

// outcome is what the schedule's condition says.
func (l *look) outcome() condition.Outcome {
	when := "nothing is due any more"
	if next := l.next(); !next.IsZero() {
		when = "the next backup is due at " + next.UTC().Format(time.RFC3339)
	}
	failed := sort(l.backups).lastFailed()
	switch {
	case l.err != nil:
		return condition.Failed(l.err)
	case l.schedule.Spec.Disabled:
		return condition.Outcome{True: true, Reason: reasonDisabled, Message: "the schedule is disabled"}
	case !l.waiting.IsZero():
		return condition.Waiting(fmt.Sprintf("the backup that has been due since %s waits: %s", l.waiting.UTC().Format(time.RFC3339), l.reason))
	case failed != nil:
		return condition.Outcome{
			Reason: failed.Status.Failure.Code, Message: fmt.Sprintf("the backup %s failed: %s; %s", failed.Spec.Name, failed.Status.Failure.Message, when),
		}
	}
	return condition.Outcome{True: true, Reason: reasonScheduled, Message: when}
}

// again is after how long to look again; 0: when something changes.
func (l *look) again() time.Duration {
	if !l.waiting.IsZero() {
		return lookAgain
	}
	soonest := schedule.Earlier(l.next(), l.expires)
	if soonest.IsZero() {
		return 0
	}
	return min(max(soonest.Sub(l.now), time.Millisecond), lookAgain)
}
