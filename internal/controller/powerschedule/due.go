package powerschedule

import (
	"time"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/schedule"
)

// plan is a power schedule as it can be asked for times.
type plan struct {
	name     string
	disabled bool
	// after is the moment until which everything was seen to, or did not count.
	after time.Time
	times map[meta.Verb]schedule.Schedule
	// err says why the schedule cannot be kept; the resource provider lets in
	// none of that kind.
	err error
}

// due is something that a schedule has due.
type due struct {
	schedule string
	verb     meta.Verb
	time     time.Time
}

// readPlans reads the schedules of a cluster.
func readPlans(cluster *v1alpha1.ManagedCluster) []plan {
	var plans []plan
	for _, s := range cluster.Spec.PowerSchedules {
		p := plan{name: s.Name, disabled: s.Disabled, after: s.Since.Time, times: map[meta.Verb]schedule.Schedule{}}
		if done := cluster.Spec.PowerSchedulesDone; done != nil && done.After(p.after) {
			p.after = done.Time
		}
		zone, err := schedule.Zone(s.TimeZone)
		p.err = err
		for verb, expression := range map[meta.Verb]string{meta.VerbStop: s.Stop, meta.VerbStart: s.Start} {
			if expression == "" || p.err != nil {
				continue
			}
			p.times[verb], p.err = schedule.Parse(expression, zone)
		}
		if p.err != nil {
			p.times = nil
		}
		plans = append(plans, p)
	}
	return plans
}

// next is when the plan has a verb due next, the zero time if never.
func (p plan) next(verb meta.Verb, now time.Time) time.Time {
	if now.Before(p.after) { // the clock ran back: what was seen to is not due again
		now = p.after
	}
	return p.times[verb].Next(now)
}

// latestDue is the latest that is due of all schedules of a cluster and was not
// seen to; nil if nothing is. Of a stop and a start at the same time it is the
// start: a cluster that runs in vain costs less than one that is missing.
func latestDue(plans []plan, now time.Time) *due {
	var latest *due
	for _, p := range plans {
		if p.disabled {
			continue
		}
		for _, verb := range []meta.Verb{meta.VerbStop, meta.VerbStart} {
			at, found := p.times[verb].Last(p.after, now)
			if !found || latest != nil && (at.Before(latest.time) || at.Equal(latest.time) && verb == meta.VerbStop) {
				continue
			}
			latest = &due{schedule: p.name, verb: verb, time: at}
		}
	}
	return latest
}
