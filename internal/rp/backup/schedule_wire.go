package backup

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/schedule"
)

// What a schedule keeps, and may.
const (
	defaultKeepCount = 7
	maxKeepCount     = 50
	maxKeepDays      = 3650
)

// scheduleRequest is a schedule as a caller writes it.
type scheduleRequest struct {
	Properties struct {
		Schedule  string `json:"schedule"`
		TimeZone  string `json:"timeZone"`
		KeepCount *int32 `json:"keepCount"`
		KeepDays  *int32 `json:"keepDays"`
		Enabled   *bool  `json:"enabled"`
	} `json:"properties"`
}

// scheduleProperties is what the body of a schedule may hold.
func scheduleProperties() []arm.Property {
	properties := []arm.Property{
		{Path: "properties", Kind: arm.Object},
		{Path: "properties.schedule", Kind: arm.String}, {Path: "properties.timeZone", Kind: arm.String},
		{Path: "properties.keepCount", Kind: arm.Integer}, {Path: "properties.keepDays", Kind: arm.Integer}, {Path: "properties.enabled", Kind: arm.Boolean},
	}
	for _, path := range []string{
		"id", "name", "type", "properties.state", "properties.message", "properties.nextBackup", "properties.lastBackup", "properties.lastGoodBackup",
	} {
		properties = append(properties, arm.Property{Path: path, Kind: arm.Any, Use: arm.ReadOnly})
	}
	return properties
}

// readSchedule reads the body of a request for a schedule, and gathers all that is wrong with it.
func readSchedule(r *arm.Request) (v1alpha1.BackupScheduleSpec, error) {
	wanted := v1alpha1.BackupScheduleSpec{Name: scheduleName(r)}
	schema, err := arm.NewSchema(scheduleProperties())
	if err != nil {
		return wanted, err
	}
	fields := &arm.FieldErrors{}
	body, err := schema.Read(r.Body, fields)
	if err != nil {
		return wanted, err
	}
	var request scheduleRequest
	if !fields.Malformed() {
		if err := body.Decode(&request); err != nil {
			return wanted, err
		}
		checkSchedule(request, fields)
	}
	properties := request.Properties
	wanted.Cron, wanted.TimeZone = strings.Join(strings.Fields(properties.Schedule), " "), properties.TimeZone
	wanted.Disabled = properties.Enabled != nil && !*properties.Enabled
	wanted.KeepCount = defaultKeepCount
	if properties.KeepCount != nil {
		wanted.KeepCount = *properties.KeepCount
	}
	if properties.KeepDays != nil {
		wanted.KeepDays = *properties.KeepDays
	}
	if wanted.TimeZone == "" {
		wanted.TimeZone = "UTC"
	}
	return wanted, fields.Err()
}

// checkSchedule notes what is wrong with a schedule, each at its path.
func checkSchedule(request scheduleRequest, fields *arm.FieldErrors) {
	properties := request.Properties
	zone, err := schedule.Zone(properties.TimeZone)
	if err != nil {
		fields.Invalid("properties.timeZone", "The time zone is unknown: %v.", err)
		zone = time.UTC
	}
	if strings.TrimSpace(properties.Schedule) == "" {
		fields.Invalid("properties.schedule", "A backup schedule needs times, as in '0 3 * * *'.")
	} else if _, err := schedule.Parse(properties.Schedule, zone); err != nil {
		fields.Invalid("properties.schedule", "The schedule '%.100s' cannot be kept: %v.", properties.Schedule, err)
	}
	if n := properties.KeepCount; n != nil && (*n < 1 || *n > maxKeepCount) {
		fields.Invalid("properties.keepCount", "A schedule keeps 1 to %d backups, not %d.", maxKeepCount, *n)
	}
	if n := properties.KeepDays; n != nil && (*n < 0 || *n > maxKeepDays) {
		fields.Invalid("properties.keepDays", "A schedule keeps backups for up to %d days, not %d; 0 is for ever.", maxKeepDays, *n)
	}
}

// scheduleBody is a schedule on the wire.
type scheduleBody struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Properties scheduleProperty `json:"properties"`
}

type scheduleProperty struct {
	Schedule   string `json:"schedule"`
	TimeZone   string `json:"timeZone"`
	KeepCount  int32  `json:"keepCount"`
	KeepDays   int32  `json:"keepDays"`
	Enabled    bool   `json:"enabled"`
	State      string `json:"state"`
	Message    string `json:"message,omitempty"`
	NextBackup string `json:"nextBackup,omitempty"`
	LastBackup *run   `json:"lastBackup,omitempty"`
	LastGood   *run   `json:"lastGoodBackup,omitempty"`
}

// run is a backup that a schedule took.
type run struct {
	Due string `json:"due"`
	ID  string `json:"id"`
}

func newScheduleBody(cluster *v1alpha1.ManagedCluster, s *v1alpha1.BackupSchedule) scheduleBody {
	shown := scheduleProperty{
		Schedule: s.Spec.Cron, TimeZone: s.Spec.TimeZone, KeepCount: s.Spec.KeepCount, KeepDays: s.Spec.KeepDays, Enabled: !s.Spec.Disabled, State: "Scheduled",
	}
	if s.Spec.Disabled {
		shown.State = "Disabled"
	}
	for _, condition := range s.Status.Conditions {
		if condition.Type == v1alpha1.ConditionScheduled {
			shown.State, shown.Message = condition.Reason, condition.Message
		}
	}
	if s.Status.NextRun != nil {
		shown.NextBackup = wireTime(*s.Status.NextRun)
	}
	named := func(of *v1alpha1.BackupRun) *run {
		if of == nil {
			return nil
		}
		return &run{Due: wireTime(of.Due), ID: backupID(cluster.Spec.SubscriptionID, cluster.Spec.ResourceGroup, of.Name).String()}
	}
	shown.LastBackup, shown.LastGood = named(s.Status.LastRun), named(s.Status.LastGood)
	id := scheduleID(cluster, s.Spec.Name)
	return scheduleBody{ID: id.String(), Name: s.Spec.Name, Type: id.Type(), Properties: shown}
}

func wireTime(t metav1.Time) string { return t.UTC().Format(time.RFC3339) }
