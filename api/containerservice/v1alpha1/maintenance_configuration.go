package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The names of maintenance configurations that mean something.
const (
	// MaintenanceAutoUpgrade says when a cluster's upgrade channel may act.
	MaintenanceAutoUpgrade = "aksManagedAutoUpgradeSchedule"
	// MaintenanceNodeOS says when node images may be renewed.
	MaintenanceNodeOS = "aksManagedNodeOSUpgradeSchedule"
	// MaintenanceDefault stands in for MaintenanceAutoUpgrade where there is none.
	MaintenanceDefault = "default"
)

// MaintenanceClusterLabel is on every maintenance configuration: the name of its cluster's object.
const MaintenanceClusterLabel = "containerservice.berth.dev/maintenance-of"

// MaintenanceConfiguration says when the service may do planned work on a
// cluster. It goes with its cluster.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterName`
// +kubebuilder:printcolumn:name="Configuration",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Start",type=string,JSONPath=`.spec.maintenanceWindow.startTime`
// +kubebuilder:printcolumn:name="Hours",type=integer,JSONPath=`.spec.maintenanceWindow.durationHours`
// +kubebuilder:printcolumn:name="Offset",type=string,JSONPath=`.spec.maintenanceWindow.utcOffset`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type MaintenanceConfiguration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec MaintenanceConfigurationSpec `json:"spec"`
}

// MaintenanceConfigurationSpec has either hours of the week, or a window on a schedule.
type MaintenanceConfigurationSpec struct {
	// ClusterName is the name of the ManagedCluster object, ClusterIncarnation its
	// incarnation: one of another incarnation counts as not there.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clusterName is immutable"
	ClusterName string `json:"clusterName"`
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]{9}$`
	ClusterIncarnation string `json:"clusterIncarnation"`
	// Name is the configuration's name in the casing of its maker.
	Name string `json:"name"`
	// Author says who wrote the configuration, and when.
	Author Author `json:"author"`
	// TimeInWeek are the hours in which work may begin; without any, all may.
	// +listType=atomic
	// +optional
	TimeInWeek []TimeInWeek `json:"timeInWeek,omitempty"`
	// NotAllowedTime are spans in which none may begin.
	// +listType=atomic
	// +optional
	NotAllowedTime []TimeSpan `json:"notAllowedTime,omitempty"`
	// MaintenanceWindow is a window that comes back on a schedule.
	// +optional
	MaintenanceWindow *MaintenanceWindow `json:"maintenanceWindow,omitempty"`
}

// Author is who made something and who changed it last, by object id.
type Author struct {
	// +optional
	CreatedBy string `json:"createdBy,omitempty"`
	// CreatedAt and ModifiedAt are when.
	CreatedAt metav1.Time `json:"createdAt"`
	// +optional
	ModifiedBy string      `json:"modifiedBy,omitempty"`
	ModifiedAt metav1.Time `json:"modifiedAt"`
}

// Weekday is the English name of a day of the week.
// +kubebuilder:validation:Enum=Sunday;Monday;Tuesday;Wednesday;Thursday;Friday;Saturday
type Weekday string

// TimeInWeek is a day with hours of it, in UTC.
type TimeInWeek struct {
	Day Weekday `json:"day"`
	// HourSlots are 0 to 23; each lasts until the next hour.
	// +listType=atomic
	HourSlots []int32 `json:"hourSlots"`
}

// TimeSpan is from one moment to another.
type TimeSpan struct {
	Start metav1.Time `json:"start"`
	End   metav1.Time `json:"end"`
}

// MaintenanceWindow is a window that comes back.
type MaintenanceWindow struct {
	// Schedule says on which days it begins.
	Schedule MaintenanceSchedule `json:"schedule"`
	// DurationHours is how long it lasts.
	// +kubebuilder:validation:Minimum=4
	// +kubebuilder:validation:Maximum=24
	DurationHours int32 `json:"durationHours"`
	// UTCOffset is of all times and dates here, +hh:mm or -hh:mm.
	UTCOffset string `json:"utcOffset"`
	// StartDate, yyyy-mm-dd, is the first day on which it may begin; intervals
	// count from its first day on or after that.
	StartDate string `json:"startDate"`
	// StartTime, hh:mm, is when it begins.
	StartTime string `json:"startTime"`
	// NotAllowedDates are days on which there is no window.
	// +listType=atomic
	// +optional
	NotAllowedDates []DateSpan `json:"notAllowedDates,omitempty"`
}

// MaintenanceSchedule is exactly one of four.
type MaintenanceSchedule struct {
	// +optional
	Daily *DailySchedule `json:"daily,omitempty"`
	// +optional
	Weekly *WeeklySchedule `json:"weekly,omitempty"`
	// +optional
	AbsoluteMonthly *AbsoluteMonthlySchedule `json:"absoluteMonthly,omitempty"`
	// +optional
	RelativeMonthly *RelativeMonthlySchedule `json:"relativeMonthly,omitempty"`
}

// DailySchedule is every so many days.
type DailySchedule struct {
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=7
	IntervalDays int32 `json:"intervalDays"`
}

// WeeklySchedule is a day of every so many weeks.
type WeeklySchedule struct {
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4
	IntervalWeeks int32   `json:"intervalWeeks"`
	DayOfWeek     Weekday `json:"dayOfWeek"`
}

// AbsoluteMonthlySchedule is a date of every so many months; a month that is
// too short has the window on its last day.
type AbsoluteMonthlySchedule struct {
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=6
	IntervalMonths int32 `json:"intervalMonths"`
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31
	DayOfMonth int32 `json:"dayOfMonth"`
}

// RelativeMonthlySchedule is a day of a week of every so many months.
type RelativeMonthlySchedule struct {
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=6
	IntervalMonths int32 `json:"intervalMonths"`
	// WeekIndex is which one of the month: First to Fourth, or Last.
	// +kubebuilder:validation:Enum=First;Second;Third;Fourth;Last
	WeekIndex string  `json:"weekIndex"`
	DayOfWeek Weekday `json:"dayOfWeek"`
}

// DateSpan are days, the last included.
type DateSpan struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// MaintenanceConfigurationList is a list of maintenance configurations.
//
// +kubebuilder:object:root=true
type MaintenanceConfigurationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MaintenanceConfiguration `json:"items"`
}

// Of says that the configuration is one of this very cluster.
func (m *MaintenanceConfiguration) Of(cluster *ManagedCluster) bool {
	return m.Spec.ClusterName == cluster.Name && m.Spec.ClusterIncarnation == cluster.Spec.Incarnation
}
