package v1alpha1

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BackupScheduleLabel is on backups that a schedule took: the schedule's incarnation.
const BackupScheduleLabel = "containerservice.berth.dev/schedule"

// BackupScheduleClusterLabel is on every backup schedule: the name of its cluster's object.
const BackupScheduleClusterLabel = "containerservice.berth.dev/backup-schedule-of"

// BackupSchedule says when backups of a cluster are taken, and which of them
// are kept. It goes with its cluster; the backups stay.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterName`
// +kubebuilder:printcolumn:name="Schedule",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Cron",type=string,JSONPath=`.spec.cron`
// +kubebuilder:printcolumn:name="Zone",type=string,JSONPath=`.spec.timeZone`
// +kubebuilder:printcolumn:name="Next",type=date,JSONPath=`.status.nextRun`,priority=1
// +kubebuilder:printcolumn:name="Last-Good",type=string,JSONPath=`.status.lastGood.name`
// +kubebuilder:printcolumn:name="Scheduled",type=string,JSONPath=`.status.conditions[?(@.type=="Scheduled")].status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Scheduled")].message`
type BackupSchedule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   BackupScheduleSpec   `json:"spec"`
	Status BackupScheduleStatus `json:"status,omitempty"`
}

// BackupScheduleSpec is what a caller asked for.
type BackupScheduleSpec struct {
	// ClusterName is the name of the ManagedCluster object, ClusterIncarnation its
	// incarnation: a schedule of another incarnation counts as not there.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clusterName is immutable"
	ClusterName string `json:"clusterName"`
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]{9}$`
	ClusterIncarnation string `json:"clusterIncarnation"`
	// Name of the schedule in lower case, unique in the cluster. It has no dot,
	// which keeps the names of backups apart.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-_a-z0-9]{0,22}[a-z0-9])?$`
	Name string `json:"name"`
	// Incarnation is a random word minted with the object. It tells its backups
	// from those of a former schedule of the name, which nobody deletes any more.
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]{9}$`
	Incarnation string `json:"incarnation"`
	// Cron is when to take a backup, in five fields.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Cron string `json:"cron"`
	// TimeZone is the name of the zone whose clocks count, e.g. Europe/Berlin.
	// +kubebuilder:validation:MaxLength=100
	TimeZone string `json:"timeZone"`
	// KeepCount is how many good backups stay at most.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	KeepCount int32 `json:"keepCount"`
	// KeepDays is for how many days they stay at most; 0: for ever. The last good
	// one stays whatever its age.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3650
	// +optional
	KeepDays int32 `json:"keepDays,omitempty"`
	// Disabled keeps the schedule and its backups and does nothing.
	// +optional
	Disabled bool `json:"disabled,omitempty"`
	// Since is when the times became what they are: nothing before was due.
	Since metav1.Time `json:"since"`
}

// BackupScheduleStatus is what was observed.
type BackupScheduleStatus struct {
	// LastRun is the last due time for which a backup was asked for.
	// +optional
	LastRun *BackupRun `json:"lastRun,omitempty"`
	// LastGood is the youngest backup of the schedule that was stored and checked.
	// +optional
	LastGood *BackupRun `json:"lastGood,omitempty"`
	// NextRun is when a backup is due next.
	// +optional
	NextRun *metav1.Time `json:"nextRun,omitempty"`
	// Conditions: Scheduled.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BackupRun is a backup that a schedule took.
type BackupRun struct {
	// Due is when it was due.
	Due metav1.Time `json:"due"`
	// Name is that of the backup in its resource group.
	Name string `json:"name"`
}

// BackupScheduleList is a list of backup schedules.
//
// +kubebuilder:object:root=true
type BackupScheduleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BackupSchedule `json:"items"`
}

// Of says that the schedule is one of this very cluster.
func (s *BackupSchedule) Of(cluster *ManagedCluster) bool {
	return s.Spec.ClusterName == cluster.Name && s.Spec.ClusterIncarnation == cluster.Spec.Incarnation
}

// longestBackupName is that of a backup's name, which ends in what a due time adds.
const longestBackupName = 63

// BackupName is the name of the backup that a schedule takes of its cluster at a
// due time. It follows from them, so that a time that is seen to again after a
// kill meets the backup that is there.
func (s *BackupSchedule) BackupName(cluster string, due time.Time) string {
	rest := "." + s.Spec.Name + "." + due.UTC().Format("20060102-1504")
	if len(cluster)+len(rest) > longestBackupName {
		cluster = s.Spec.ClusterIncarnation
	}
	return strings.ToLower(cluster) + rest
}
