package controller_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	hostv1 "berth.dev/berth/api/host/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/powerschedule"
	"berth.dev/berth/internal/history"
	"berth.dev/berth/internal/rp/containerservice"
)

// runner is the resource provider, which admits what schedules ask for.
func (w *world) runner(c client.Client) powerschedule.Runner {
	w.t.Helper()
	provider, err := containerservice.NewProvider(containerservice.Options{Client: c, Now: w.clock.Now})
	must(w.t, err)
	return provider
}

// room is how many CPUs the host has; without any it has not reported.
func (w *world) room(cpus int32) {
	w.t.Helper()
	host := &hostv1.Host{}
	must(w.t, w.api.Get(context.Background(), client.ObjectKey{Name: "local"}, host))
	host.Status.CPUs, host.Status.MemoryMiB = cpus, 24<<10
	must(w.t, w.api.Update(context.Background(), host))
}

// schedule writes a power schedule, as the front end does.
func (w *world) schedule(s containerservicev1.PowerSchedule) {
	w.t.Helper()
	cluster := w.cluster("demo")
	s.Since = metav1.NewTime(w.clock.Now())
	if s.TimeZone == "" {
		s.TimeZone = "UTC"
	}
	if known := cluster.PowerSchedule(s.Name); known != nil {
		s.LastRun = known.LastRun
		*known = s
	} else {
		cluster.Spec.PowerSchedules = append(cluster.Spec.PowerSchedules, s)
	}
	must(w.t, w.api.Update(context.Background(), cluster))
}

// at sets the clock and lets all happen that is to happen then.
func (w *world) at(moment string) {
	w.t.Helper()
	parsed, err := time.Parse(time.RFC3339, moment)
	must(w.t, err)
	w.clock.SetTime(parsed)
	w.live()
}

// scheduledRuns are the ended operations that schedules asked for, by their time.
func (w *world) scheduledRuns() []meta.Verb {
	w.t.Helper()
	var records []history.Record
	for _, record := range w.history.records {
		if record.Caller == containerservicev1.PowerScheduleCaller {
			records = append(records, record)
		}
	}
	slices.SortFunc(records, func(a, b history.Record) int { return a.StartTime.Compare(b.StartTime) })
	verbs := []meta.Verb{}
	for _, record := range records {
		if record.Status != meta.OperationSucceeded {
			w.t.Errorf("%s by the schedule ended %s: %+v", record.Verb, record.Status, record.Failure)
		}
		verbs = append(verbs, record.Verb)
	}
	return verbs
}

func (w *world) ran(want ...meta.Verb) {
	w.t.Helper()
	if got := w.scheduledRuns(); !slices.Equal(got, want) {
		w.t.Fatalf("the schedules ran %v, want %v", got, want)
	}
}

// scheduled is what the condition of a schedule says.
func (w *world) scheduled(name string) metav1.Condition {
	w.t.Helper()
	status := w.cluster("demo").PowerScheduleStatus(name)
	if status == nil || len(status.Conditions) != 1 {
		w.t.Fatalf("nothing is known of the schedule %s: %+v", name, status)
	}
	return status.Conditions[0]
}

// office stops in the evening of a working day and starts in the morning.
func office() containerservicev1.PowerSchedule {
	return containerservicev1.PowerSchedule{Name: "office", Stop: "0 20 * * 1-5", Start: "0 7 * * 1-5"}
}

// scheduledDemo is a cluster with the schedule office; the epoch is a Saturday, 08:00 UTC.
func scheduledDemo(t *testing.T, nodes int32) *world {
	t.Helper()
	w := demo(t, nodes)
	w.room(2)
	w.schedule(office())
	w.live()
	return w
}

func TestAScheduledClusterStopsAndStartsAtItsTimes(t *testing.T) {
	w := scheduledDemo(t, 2)
	status := w.cluster("demo").PowerScheduleStatus("office")
	if got := status.NextStart.UTC().Format(time.RFC3339); got != "2026-11-23T07:00:00Z" {
		t.Errorf("the next start is at %s", got)
	}
	if c := w.scheduled("office"); c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "the next start is due at 2026-11-23T07:00:00Z") {
		t.Errorf("the condition says %+v", c)
	}
	w.at("2026-11-23T19:59:59Z")
	w.ran()
	w.at("2026-11-23T20:00:00Z")
	w.stopped(2)
	w.ran(meta.VerbStop)
	run := w.cluster("demo").PowerSchedule("office").LastRun
	if record, found, _ := w.history.Get(run.OperationID); !found || record.Verb != meta.VerbStop {
		t.Errorf("the last run names no operation: %+v", run)
	}
	w.at("2026-11-24T06:59:59Z")
	w.stopped(2)
	w.at("2026-11-24T07:00:10Z")
	w.consistent("demo", 2)
	w.ran(meta.VerbStop, meta.VerbStart)
}

func TestWhatCameDueWhileNobodyLookedIsMadeUpForByTheLatestAlone(t *testing.T) {
	for name, c := range map[string]struct {
		back string
		want []meta.Verb
	}{
		"a stop, days of both before":  {"2026-11-27T23:00:00Z", []meta.Verb{meta.VerbStop}},
		"a start: nothing is to do":    {"2026-11-27T12:00:00Z", nil},
		"over a weekend: Friday's":     {"2026-12-06T12:00:00Z", []meta.Verb{meta.VerbStop}},
		"a year: the latest, at once":  {"2027-11-21T12:00:00Z", []meta.Verb{meta.VerbStop}},
		"nothing was due in that time": {"2026-11-22T12:00:00Z", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := scheduledDemo(t, 1)
			w.start()
			w.at(c.back)
			w.ran(c.want...)
			w.start()
			w.live()
			w.ran(c.want...)
		})
	}
}

func TestAScheduleWaitsForTheRunningOperationAndSaysSo(t *testing.T) {
	w := scheduledDemo(t, 1)
	w.at("2026-11-23T19:59:00Z")
	w.kubeletsDown = true
	w.scale("demo", "up", 2)
	w.at("2026-11-23T20:00:00Z")
	c := w.scheduled("office")
	if c.Status != metav1.ConditionFalse || c.Reason != "Waiting" || !strings.Contains(c.Message, "the stop that has been due since 2026-11-23T20:00:00Z waits") || !strings.Contains(c.Message, "id up") {
		t.Fatalf("the condition says %+v", c)
	}
	if w.cluster("demo").Spec.PowerState == meta.PowerStopped {
		t.Fatal("the schedule acted beside a running operation")
	}
	w.kubeletsDown = false
	w.at("2026-11-23T20:05:00Z")
	w.ended("up", meta.OperationSucceeded)
	w.stopped(2)
	w.ran(meta.VerbStop)
	if c := w.scheduled("office"); c.Status != metav1.ConditionTrue {
		t.Errorf("the condition still says %+v", c)
	}
}

func TestALaterDueTimeTakesThePlaceOfOneThatWaits(t *testing.T) {
	w := scheduledDemo(t, 1)
	w.schedule(containerservicev1.PowerSchedule{Name: "late", Start: "3 20 * * 1-5"})
	w.at("2026-11-23T19:59:00Z")
	w.kubeletsDown = true
	w.scale("demo", "up", 2)
	w.at("2026-11-23T20:00:00Z")
	w.at("2026-11-23T20:04:00Z")
	w.kubeletsDown = false
	w.live()
	w.ended("up", meta.OperationSucceeded)
	w.consistent("demo", 2)
	w.ran()
}

func TestADueTimeWithNothingToDoIsSeenTo(t *testing.T) {
	w := scheduledDemo(t, 1)
	w.at("2026-11-23T19:00:00Z")
	w.power("by-hand", meta.VerbStop)
	w.live()
	w.at("2026-11-23T20:00:00Z")
	w.ran()
	if run := w.cluster("demo").PowerSchedule("office").LastRun; run == nil || run.OperationID != "" || run.Verb != meta.VerbStop {
		t.Fatalf("the run is %+v", run)
	}
	w.power("back", meta.VerbStart)
	w.live()
	w.at("2026-11-23T21:00:00Z")
	w.consistent("demo", 1)
	w.ran()
}

func TestAScheduleCountsFromItsLastChangeOn(t *testing.T) {
	w := scheduledDemo(t, 1)
	changed := office()
	changed.Disabled = true
	w.schedule(changed)
	w.at("2026-11-23T20:30:00Z")
	if c := w.scheduled("office"); c.Reason != "Disabled" {
		t.Errorf("the condition says %+v", c)
	}
	if w.cluster("demo").PowerScheduleStatus("office").NextStop != nil {
		t.Error("a disabled schedule has something due")
	}
	w.schedule(office())
	w.at("2026-11-23T20:31:00Z")
	w.ran()
	w.at("2026-11-24T20:00:00Z")
	w.ran(meta.VerbStop)
}

func TestAClockThatRunsBackRepeatsNothing(t *testing.T) {
	w := scheduledDemo(t, 1)
	w.at("2026-11-23T20:00:00Z")
	w.power("by-hand", meta.VerbStart)
	w.live()
	w.at("2026-11-23T19:30:00Z")
	w.at("2026-11-23T20:00:30Z")
	w.ran(meta.VerbStop)
	w.consistent("demo", 1)
}

func TestAScheduledStartWaitsForRoom(t *testing.T) {
	w := scheduledDemo(t, 2)
	w.at("2026-11-23T20:00:00Z")
	w.room(0)
	w.at("2026-11-24T07:00:00Z")
	if c := w.scheduled("office"); c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "No host has reported") {
		t.Fatalf("the condition says %+v", c)
	}
	w.stopped(2)
	w.room(2)
	w.live()
	w.consistent("demo", 2)
	w.ran(meta.VerbStop, meta.VerbStart)
}

func TestOneDueTimeIsSeenToOnceByTwoWhoLookAtOnce(t *testing.T) {
	w := scheduledDemo(t, 1)
	seen, other := w.cluster("demo"), w.cluster("demo")
	run := containerservicev1.PowerRun{Due: metav1.NewTime(w.clock.Now()), Verb: meta.VerbStop}
	must(t, w.runner(w.api).RunPowerSchedule(context.Background(), seen, "office", run))
	if err := w.runner(w.api).RunPowerSchedule(context.Background(), other, "office", run); !apierrors.IsConflict(err) {
		t.Fatalf("the second: %v, want a conflict", err)
	}
}

func TestADeletedScheduleLeavesNothing(t *testing.T) {
	w := scheduledDemo(t, 1)
	cluster := w.cluster("demo")
	cluster.Spec.PowerSchedules = nil
	must(t, w.api.Update(context.Background(), cluster))
	w.at("2026-11-23T20:00:00Z")
	w.ran()
	if left := w.cluster("demo").Status.PowerSchedules; len(left) != 0 {
		t.Errorf("left over: %+v", left)
	}
}

func TestAKillBehindAnyWriteOfAScheduledRunHeals(t *testing.T) {
	scheduled := func(w *world) {
		w.put("demo", 2)
		w.live()
		w.room(2)
		w.schedule(office())
		w.live()
	}
	due := func(moment string) func(w *world) {
		return func(w *world) {
			parsed, err := time.Parse(time.RFC3339, moment)
			must(w.t, err)
			w.clock.SetTime(parsed)
		}
	}
	heals(t, map[string]story{
		"scheduled stop": {
			before: scheduled,
			event:  due("2026-11-23T20:00:00Z"),
			check:  func(w *world) { w.stopped(2); w.ran(meta.VerbStop) },
		},
		"scheduled start": {
			before: func(w *world) { scheduled(w); w.at("2026-11-23T20:00:00Z") },
			event:  due("2026-11-24T07:00:00Z"),
			check:  func(w *world) { w.consistent("demo", 2); w.ran(meta.VerbStop, meta.VerbStart) },
		},
		"a start that has nothing to do": {
			before: scheduled,
			event:  due("2026-11-23T07:00:00Z"),
			check:  func(w *world) { w.consistent("demo", 2); w.ran() },
		},
	})
}
