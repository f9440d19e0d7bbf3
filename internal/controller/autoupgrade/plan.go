package autoupgrade

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/maintenance"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/upgrade"
)

// The reasons of the condition AutoUpgrade, beside those of package condition.
const (
	reasonRefused  = "Refused"
	reasonStarted  = "Started"
	reasonNoWindow = "NoWindow"
)

// plan is what a channel wants of a cluster at a moment.
type plan struct {
	cluster *v1alpha1.ManagedCluster
	now     time.Time
	// target is the version at the end of the way, next that of the next step.
	target, next string
	// behind is a pool that is older than the control plane, nil without one.
	behind *v1alpha1.AgentPoolProfile
	// schedule has the windows; planned says that a configuration made it, and
	// wrong why the configuration makes none.
	schedule *maintenance.Schedule
	planned  bool
	wrong    error
	window   maintenance.Window
	// open says that there is a window, now or later.
	open bool
	// refused is the last attempt that was refused, started that one has just begun.
	refused *v1alpha1.RefusedUpgrade
	started bool
}

func newPlan(cluster *v1alpha1.ManagedCluster, configurations []v1alpha1.MaintenanceConfiguration, catalog []release.Version, now time.Time) *plan {
	p := &plan{cluster: cluster, now: now}
	running := cluster.Spec.KubernetesVersion
	p.target = upgrade.Target(cluster.Spec.UpgradeChannel, running, catalog)
	p.next = upgrade.Step(running, p.target, catalog)
	for i := range cluster.Spec.AgentPools {
		if pool := &cluster.Spec.AgentPools[i]; upgrade.Less(pool.OrchestratorVersion, running) {
			p.behind = pool
			break
		}
	}
	p.schedule, p.planned, p.wrong = scheduleOf(configurations)
	if p.wrong == nil {
		p.window, p.open = p.schedule.Next(now)
	}
	if status := cluster.Status.AutoUpgrade; status != nil && status.Refused != nil && status.Refused.Version == p.next {
		p.refused = status.Refused
	}
	return p
}

// scheduleOf is the schedule that upgrades keep to: their own, or else the
// default one, or else any time.
func scheduleOf(configurations []v1alpha1.MaintenanceConfiguration) (schedule *maintenance.Schedule, planned bool, err error) {
	for _, name := range []string{v1alpha1.MaintenanceAutoUpgrade, v1alpha1.MaintenanceDefault} {
		for i := range configurations {
			if spec := configurations[i].Spec; spec.Name == name {
				schedule, err = maintenance.New(spec)
				if err != nil {
					err = fmt.Errorf("the maintenance configuration '%s' is wrong: %w", name, err)
				}
				return schedule, true, err
			}
		}
	}
	return maintenance.Always(), false, nil
}

// wants says that there is something to upgrade to.
func (p *plan) wants() bool {
	return p.next != p.cluster.Spec.KubernetesVersion || p.behind != nil
}

// due says that an upgrade is to begin now.
func (p *plan) due() bool {
	return p.wants() && p.wrong == nil && p.open && p.window.Contains(p.now) && p.cluster.InTheWay() == "" && !p.refused.Rests(p.cluster, p.now)
}

// status tells the plan.
func (p *plan) status() *v1alpha1.AutoUpgradeStatus {
	status := &v1alpha1.AutoUpgradeStatus{TargetVersion: p.target}
	status.Done, status.Reason, status.Message = p.tell()
	if !p.wants() {
		return status
	}
	status.NextVersion, status.Refused = p.next, p.refused
	if window, open := p.upcoming(); p.planned && open {
		status.WindowStart, status.WindowEnd = &metav1.Time{Time: window.Start.UTC()}, &metav1.Time{Time: window.End.UTC()}
	}
	return status
}

// upcoming is the window in which the next attempt is made.
func (p *plan) upcoming() (maintenance.Window, bool) {
	if p.wrong == nil && p.open && p.refused.Rests(p.cluster, p.now) {
		return p.schedule.Next(p.refused.RetryTime.Time)
	}
	return p.window, p.open
}

// tell is the condition: what comes when, and what is in the way.
func (p *plan) tell() (done bool, reason, message string) {
	channel, running := p.cluster.Spec.UpgradeChannel, p.cluster.Spec.KubernetesVersion
	step := fmt.Sprintf("the upgrade to Kubernetes %s by the channel '%s'", p.next, channel)
	if p.next != p.target {
		step += fmt.Sprintf(", on the way to %s,", p.target)
	}
	state := p.cluster.DeriveProvisioningState()
	switch busy := p.cluster.InTheWay(); {
	case state == v1alpha1.StateUpgrading:
		return false, reasonStarted, fmt.Sprintf("the upgrade to Kubernetes %s is under way", running)
	case !p.wants() && p.target == running && (state == v1alpha1.StateFailed || state == v1alpha1.StateCanceled):
		return false, condition.ReasonWaiting, fmt.Sprintf("the cluster is to run Kubernetes %s, which the channel '%s' wants, and is %s; bring it back by an update", running, channel, state)
	case !p.wants() && p.target == running:
		return true, condition.ReasonReady, fmt.Sprintf("the cluster runs Kubernetes %s, which the channel '%s' wants", running, channel)
	case !p.wants():
		return false, condition.ReasonWaiting, fmt.Sprintf("the channel '%s' wants Kubernetes %s, and no version between it and %s is offered", channel, p.target, running)
	case p.wrong != nil:
		return false, condition.ReasonError, fmt.Sprintf("%s waits: %v", step, p.wrong)
	case !p.open:
		return false, reasonNoWindow, step + " waits: the maintenance configuration leaves no window in the next years"
	case p.started:
		return false, reasonStarted, fmt.Sprintf("the upgrade to Kubernetes %s is under way", p.next)
	case p.refused.Rests(p.cluster, p.now):
		return false, reasonRefused, fmt.Sprintf("%s was refused at %s: %s It is tried again %s, or as soon as the cluster is changed",
			step, moment(p.refused.Time.Time), p.refused.Failure.Message, p.when())
	case busy != "":
		return false, condition.ReasonWaiting, fmt.Sprintf("%s waits %s: %s", step, p.when(), busy)
	default:
		return false, condition.ReasonWaiting, fmt.Sprintf("%s begins %s", step, p.when())
	}
}

// when says in which window.
func (p *plan) when() string {
	window, open := p.upcoming()
	switch {
	case !open:
		return "in no window of the next years"
	case !p.planned && p.refused.Rests(p.cluster, p.now):
		return "on the next day"
	case !p.planned:
		return "at any time"
	}
	return fmt.Sprintf("in the maintenance window from %s to %s", moment(window.Start), moment(window.End))
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// again is when to look again; what changes in the cluster wakes the controller by itself.
func (p *plan) again() time.Duration {
	if !p.wants() || !p.open {
		return lookAgain
	}
	next := p.window.Start
	if !next.After(p.now) {
		next = p.window.End
	}
	return min(max(next.Sub(p.now), time.Second), lookAgain)
}
