package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// PowerScheduleCaller is the caller of operations that a power schedule asked for.
const PowerScheduleCaller = "powerSchedule"

// ConditionScheduled is of a power schedule: false while something that is due
// waits, with the reason; true otherwise.
const ConditionScheduled = "Scheduled"

// PowerSchedule says when a cluster stops and starts by itself. It lies in the
// cluster's spec, so that the write that stops or starts the cluster also says
// which due time that was for.
type PowerSchedule struct {
	// Name of the schedule in lower case, unique in the cluster.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-_.a-z0-9]{0,61}[a-z0-9])?$`
	Name string `json:"name"`
	// Stop and Start are when to do so, in five fields of cron; at least one of
	// them is there.
	// +kubebuilder:validation:MaxLength=100
	// +optional
	Stop string `json:"stop,omitempty"`
	// +kubebuilder:validation:MaxLength=100
	// +optional
	Start string `json:"start,omitempty"`
	// TimeZone is the name of the zone whose clocks count, e.g. Europe/Berlin.
	// +kubebuilder:validation:MaxLength=100
	TimeZone string `json:"timeZone"`
	// Disabled keeps the schedule and does nothing.
	// +optional
	Disabled bool `json:"disabled,omitempty"`
	// Since is when the schedule became what it is: nothing before was due.
	Since metav1.Time `json:"since"`
	// LastRun is the last due time that was seen to.
	// +optional
	LastRun *PowerRun `json:"lastRun,omitempty"`
}

// PowerRun is a due time of a power schedule that was seen to.
type PowerRun struct {
	// Due is when it was due.
	Due metav1.Time `json:"due"`
	// Verb is Stop or Start.
	Verb meta.Verb `json:"verb"`
	// OperationID is the operation that it started, empty if there was nothing
	// to do: the cluster was as it should be.
	// +optional
	OperationID string `json:"operationID,omitempty"`
}

// PowerScheduleStatus is what was observed of a power schedule.
type PowerScheduleStatus struct {
	// Name is that of the schedule.
	Name string `json:"name"`
	// NextStop and NextStart are when it is due next.
	// +optional
	NextStop *metav1.Time `json:"nextStop,omitempty"`
	// +optional
	NextStart *metav1.Time `json:"nextStart,omitempty"`
	// Conditions: Scheduled.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// PowerSchedule is the schedule of a name in lower case, nil if there is none.
func (c *ManagedCluster) PowerSchedule(name string) *PowerSchedule {
	for i := range c.Spec.PowerSchedules {
		if c.Spec.PowerSchedules[i].Name == name {
			return &c.Spec.PowerSchedules[i]
		}
	}
	return nil
}

// PowerScheduleStatus is what was observed of a schedule, nil if nothing was yet.
func (c *ManagedCluster) PowerScheduleStatus(name string) *PowerScheduleStatus {
	for i := range c.Status.PowerSchedules {
		if c.Status.PowerSchedules[i].Name == name {
			return &c.Status.PowerSchedules[i]
		}
	}
	return nil
}
