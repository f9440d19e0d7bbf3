// Package powerschedule stops and starts clusters when their power schedules
// are due. A time that is due is seen to once: what came due while nobody
// looked is made up for by the latest of it alone, and what a cluster does not
// admit yet waits, with the reason in the schedule's condition, until it does or
// a later time is due.
package powerschedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
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
// something that waits for room waits for another look.
const lookAgain = 30 * time.Second

// Runner stops and starts clusters.
type Runner interface {
	// RunPowerSchedule sees to one due time, in one write under the version of
	// the cluster that was looked at. It fails with an *arm.Error as long as the
	// cluster does not admit it.
	RunPowerSchedule(ctx context.Context, cluster *v1alpha1.ManagedCluster, name string, run v1alpha1.PowerRun) error
}

// Controller reconciles the power schedules of ManagedClusters.
type Controller struct {
	client client.Client
	clock  clock.PassiveClock
	runner Runner
}

// NewController makes the controller.
func NewController(c client.Client, clock clock.PassiveClock, runner Runner) *Controller {
	return &Controller{client: c, clock: clock, runner: runner}
}

// Register adds the controller to a manager.
func (c *Controller) Register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("powerschedule").
		For(&v1alpha1.ManagedCluster{}).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 2,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

// Reconcile sees to what is due and says what is next.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	cluster := &v1alpha1.ManagedCluster{}
	if err := c.client.Get(ctx, request.NamespacedName, cluster); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if cluster.DeletionTimestamp != nil || len(cluster.Spec.PowerSchedules) == 0 && len(cluster.Status.PowerSchedules) == 0 {
		return reconcile.Result{}, nil
	}
	cluster = cluster.DeepCopy()
	now := c.clock.Now()
	plans := readPlans(cluster)
	latest, waits := latestDue(plans, now), ""
	if latest != nil {
		err := c.runner.RunPowerSchedule(ctx, cluster, latest.schedule, v1alpha1.PowerRun{Due: metav1.NewTime(latest.time), Verb: latest.verb})
		var refused *arm.Error
		switch {
		case err == nil:
			latest = nil // the write that says so wakes this controller
		case errors.As(err, &refused):
			waits = refused.Message
		case apierrors.IsAlreadyExists(err): // somebody else reserved room first: it is counted again
			return reconcile.Result{RequeueAfter: conflict.Again}, nil
		default:
			return conflict.Retry(reconcile.Result{}, fmt.Errorf("running the power schedule %s: %w", latest.schedule, err))
		}
	}
	next, err := c.report(ctx, cluster, plans, observation{now: now, waiting: latest, reason: waits})
	if err != nil || next.IsZero() {
		return conflict.Retry(reconcile.Result{}, err)
	}
	return reconcile.Result{RequeueAfter: min(max(next.Sub(now), time.Millisecond), lookAgain)}, nil
}

// observation is what a look at the schedules found.
type observation struct {
	now time.Time
	// waiting is what is due and waits, nil if nothing is; reason says for what.
	waiting *due
	reason  string
}

// report writes the status of every schedule and says when to look again, the
// zero time if never.
func (c *Controller) report(ctx context.Context, cluster *v1alpha1.ManagedCluster, plans []plan, seen observation) (time.Time, error) {
	original := cluster.DeepCopy()
	var statuses []v1alpha1.PowerScheduleStatus
	var soonest time.Time
	for _, p := range plans {
		status := v1alpha1.PowerScheduleStatus{Name: p.name}
		if known := cluster.PowerScheduleStatus(p.name); known != nil {
			status.Conditions = known.Conditions
		}
		if stop, start := p.next(meta.VerbStop, seen.now), p.next(meta.VerbStart, seen.now); !p.disabled {
			status.NextStop, status.NextStart = timeOf(stop), timeOf(start)
			soonest = schedule.Earlier(schedule.Earlier(soonest, stop), start)
		}
		condition.Stamp{Generation: cluster.Generation, Time: seen.now}.Set(&status.Conditions, v1alpha1.ConditionScheduled, outcomeOf(p, status, seen))
		statuses = append(statuses, status)
	}
	if seen.waiting != nil {
		soonest = seen.now.Add(lookAgain)
	}
	cluster.Status.PowerSchedules = statuses
	if sameBut(original.Status.PowerSchedules, statuses) {
		return soonest, nil
	}
	if err := c.client.Status().Patch(ctx, cluster, client.MergeFrom(original)); client.IgnoreNotFound(err) != nil {
		return soonest, fmt.Errorf("writing the status: %w", err)
	}
	return soonest, nil
}

// sameBut says that two statuses differ at most in the generation that was looked at.
func sameBut(a, b []v1alpha1.PowerScheduleStatus) bool {
	forget := func(statuses []v1alpha1.PowerScheduleStatus) []v1alpha1.PowerScheduleStatus {
		var result []v1alpha1.PowerScheduleStatus
		for i := range statuses {
			status := statuses[i].DeepCopy()
			for j := range status.Conditions {
				status.Conditions[j].ObservedGeneration = 0
			}
			result = append(result, *status)
		}
		return result
	}
	return equality.Semantic.DeepEqual(forget(a), forget(b))
}

// outcomeOf is what a schedule's condition says.
func outcomeOf(p plan, status v1alpha1.PowerScheduleStatus, seen observation) condition.Outcome {
	switch {
	case p.disabled:
		return condition.Outcome{True: true, Reason: reasonDisabled, Message: "the schedule is disabled"}
	case p.err != nil:
		return condition.Failed(p.err)
	case seen.waiting != nil && seen.waiting.schedule == p.name:
		return condition.Waiting(fmt.Sprintf("the %s that has been due since %s waits: %s",
			words(seen.waiting.verb), seen.waiting.time.UTC().Format(time.RFC3339), seen.reason))
	}
	verb, next := meta.VerbStop, status.NextStop
	if next == nil || status.NextStart != nil && status.NextStart.Before(next) {
		verb, next = meta.VerbStart, status.NextStart
	}
	message := "nothing is due any more"
	if next != nil {
		message = fmt.Sprintf("the next %s is due at %s", words(verb), next.UTC().Format(time.RFC3339))
	}
	return condition.Outcome{True: true, Reason: reasonScheduled, Message: message}
}

func words(verb meta.Verb) string {
	if verb == meta.VerbStop {
		return "stop"
	}
	return "start"
}

func timeOf(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	result := metav1.NewTime(t)
	return &result
}
