package maintenanceconfiguration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/maintenance"
	"berth.dev/berth/internal/rp/containerservice/property"
)

// defaultHours is how long a window is that does not say.
const defaultHours = 24

// request is the body.
type request struct {
	Properties struct {
		TimeInWeek        []v1alpha1.TimeInWeek `json:"timeInWeek"`
		NotAllowedTime    []spanRequest         `json:"notAllowedTime"`
		MaintenanceWindow *windowRequest        `json:"maintenanceWindow"`
	} `json:"properties"`
}

type spanRequest struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

type windowRequest struct {
	Schedule        v1alpha1.MaintenanceSchedule `json:"schedule"`
	DurationHours   int32                        `json:"durationHours"`
	UTCOffset       string                       `json:"utcOffset"`
	StartDate       string                       `json:"startDate"`
	StartTime       string                       `json:"startTime"`
	NotAllowedDates []v1alpha1.DateSpan          `json:"notAllowedDates"`
}

// reader checks a body as it makes a configuration of it.
type reader struct {
	body   *arm.Body
	fields *arm.FieldErrors
}

// read makes what a request asks for; all that is wrong with it is told at once.
func (h *Handlers) read(r *arm.Request, there *v1alpha1.MaintenanceConfiguration, cluster *v1alpha1.ManagedCluster) (v1alpha1.MaintenanceConfigurationSpec, error) {
	spec := v1alpha1.MaintenanceConfigurationSpec{ClusterName: cluster.Name, ClusterIncarnation: cluster.Spec.Incarnation}
	schema, err := arm.NewSchema(property.Maintenance())
	if err != nil {
		return spec, err
	}
	c := reader{fields: &arm.FieldErrors{}}
	if c.body, err = schema.Read(r.Body, c.fields); err != nil {
		return spec, err
	}
	if c.fields.Malformed() {
		return spec, c.fields.Err()
	}
	var sent request
	if err := c.body.Decode(&sent); err != nil {
		return spec, err
	}
	now := metav1.NewTime(h.Now())
	spec.Name = checkName(r.Param("configName"), c.fields)
	spec.Author = v1alpha1.Author{CreatedBy: r.Principal.AppID, CreatedAt: now, ModifiedBy: r.Principal.AppID, ModifiedAt: now}
	if there != nil && there.Of(cluster) {
		spec.Name, spec.Author.CreatedBy, spec.Author.CreatedAt = there.Spec.Name, there.Spec.Author.CreatedBy, there.Spec.Author.CreatedAt
	} else {
		there = nil
	}
	c.shape(spec.Name, sent)
	spec.TimeInWeek = c.hours(sent.Properties.TimeInWeek)
	spec.NotAllowedTime = c.spans(sent.Properties.NotAllowedTime)
	if sent.Properties.MaintenanceWindow != nil {
		spec.MaintenanceWindow = c.window(*sent.Properties.MaintenanceWindow, there, now.Time)
	}
	return spec, c.fields.Err()
}

// shape checks that a configuration has the parts that its name goes with.
func (c reader) shape(name string, sent request) {
	hours := len(sent.Properties.TimeInWeek)+len(sent.Properties.NotAllowedTime) > 0
	window := sent.Properties.MaintenanceWindow != nil
	managed := name == v1alpha1.MaintenanceAutoUpgrade || name == v1alpha1.MaintenanceNodeOS
	path := c.body.Path("properties.maintenanceWindow")
	switch {
	case managed && hours:
		c.fields.Invalid(path, "The configuration '%s' has a maintenanceWindow; timeInWeek and notAllowedTime go with '%s'.", name, v1alpha1.MaintenanceDefault)
	case managed && !window:
		c.fields.Invalid(path, "The configuration '%s' needs a maintenanceWindow.", name)
	case hours && window:
		c.fields.Invalid(path, "A configuration has either a maintenanceWindow or timeInWeek and notAllowedTime.")
	case !hours && !window:
		c.fields.Invalid(c.body.Path("properties"), "A configuration needs timeInWeek, notAllowedTime or a maintenanceWindow.")
	}
}

func (c reader) hours(sent []v1alpha1.TimeInWeek) []v1alpha1.TimeInWeek {
	for i := range sent {
		path := fmt.Sprintf("properties.timeInWeek[%d].", i)
		sent[i].Day = c.weekday(path+"day", sent[i].Day)
		if len(sent[i].HourSlots) == 0 {
			c.fields.Invalid(c.body.Path(path+"hourSlots"), "hourSlots is missing or empty: name hours of the day in UTC, 0 to 23.")
		}
		slices.Sort(sent[i].HourSlots)
		sent[i].HourSlots = slices.Compact(sent[i].HourSlots)
	}
	return sent
}

// weekday spells a day as the API does.
func (c reader) weekday(path string, day v1alpha1.Weekday) v1alpha1.Weekday {
	weekday, known := maintenance.ParseWeekday(string(day))
	if !known {
		c.missing(path, string(day), "a day such as Monday")
		return day
	}
	return v1alpha1.Weekday(weekday.String())
}

// missing tells that a value is not there; a wrong one the table tells.
func (c reader) missing(path, value, form string) {
	if value == "" {
		c.fields.Invalid(c.body.Path(path), "%s is missing: %s.", path[strings.LastIndexByte(path, '.')+1:], form)
	}
}

func (c reader) spans(sent []spanRequest) (spans []v1alpha1.TimeSpan) {
	for i, s := range sent {
		path := fmt.Sprintf("properties.notAllowedTime[%d].", i)
		start, startErr := c.moment(path+"start", s.Start)
		end, endErr := c.moment(path+"end", s.End)
		if startErr == nil && endErr == nil && !start.Before(end) {
			c.fields.Invalid(c.body.Path(path+"end"), "The end %s is not after the start %s.", s.End, s.Start)
		}
		spans = append(spans, v1alpha1.TimeSpan{Start: metav1.NewTime(start), End: metav1.NewTime(end)})
	}
	return spans
}

func (c reader) moment(path, text string) (time.Time, error) {
	c.missing(path, text, "a moment such as 2026-12-24T00:00:00Z")
	moment, err := time.Parse(time.RFC3339, strings.ToUpper(text))
	if err != nil && c.body.Has(path) && text != "" && looksLike(text) {
		c.fields.Invalid(c.body.Path(path), "The value '%.40s' is no moment of a calendar.", text)
	}
	return moment.UTC(), err
}

// looksLike says that a moment has passed the table, which looks at digits alone.
func looksLike(text string) bool { return len(text) >= len("2026-12-24T00:00:00Z") }

func (c reader) window(sent windowRequest, there *v1alpha1.MaintenanceConfiguration, now time.Time) *v1alpha1.MaintenanceWindow {
	const path = "properties.maintenanceWindow."
	w := &v1alpha1.MaintenanceWindow{
		Schedule: sent.Schedule, DurationHours: sent.DurationHours, UTCOffset: sent.UTCOffset,
		StartDate: sent.StartDate, StartTime: sent.StartTime, NotAllowedDates: sent.NotAllowedDates,
	}
	if !c.body.Has(path + "durationHours") {
		w.DurationHours = defaultHours
	}
	if w.UTCOffset == "" {
		w.UTCOffset = "+00:00"
	}
	at, err := maintenance.ParseOffset(w.UTCOffset)
	c.well(path+"utcOffset", len(w.UTCOffset) == len("+00:00"), err)
	if at == nil {
		at = time.UTC
	}
	if w.StartDate == "" { // it counts from the day on which it was made
		w.StartDate = now.In(at).Format(maintenance.DateForm)
		if there != nil && there.Spec.MaintenanceWindow != nil {
			w.StartDate = there.Spec.MaintenanceWindow.StartDate
		}
	}
	_, err = maintenance.ParseDate(w.StartDate, at)
	c.well(path+"startDate", len(w.StartDate) == len(maintenance.DateForm), err)
	c.missing(path+"startTime", w.StartTime, "a time of the day such as 22:00")
	_, err = maintenance.ParseTime(w.StartTime)
	c.well(path+"startTime", len(w.StartTime) == len("00:00"), err)
	for i, span := range w.NotAllowedDates {
		c.dates(fmt.Sprintf("%snotAllowedDates[%d].", path, i), span, at)
	}
	c.schedule(path+"schedule", &w.Schedule)
	return w
}

// well tells what no pattern can say of a value that looks as it should.
func (c reader) well(path string, looks bool, err error) {
	if err != nil && looks {
		c.fields.Invalid(c.body.Path(path), "The value of '%s' is wrong: %s.", c.body.Path(path), err)
	}
}

func (c reader) dates(path string, span v1alpha1.DateSpan, at *time.Location) {
	c.missing(path+"start", span.Start, "a day such as 2026-12-24")
	c.missing(path+"end", span.End, "a day such as 2026-12-24")
	first, startErr := maintenance.ParseDate(span.Start, at)
	last, endErr := maintenance.ParseDate(span.End, at)
	c.well(path+"start", len(span.Start) == len(maintenance.DateForm), startErr)
	c.well(path+"end", len(span.End) == len(maintenance.DateForm), endErr)
	if startErr == nil && endErr == nil && last.Before(first) {
		c.fields.Invalid(c.body.Path(path+"end"), "The end %s is before the start %s.", span.End, span.Start)
	}
}

// schedule checks that there is exactly one, and that it is whole.
func (c reader) schedule(path string, s *v1alpha1.MaintenanceSchedule) {
	number := func(name string) {
		if !c.body.Has(path + name) {
			c.fields.Invalid(c.body.Path(path+name), "%s is missing.", name[strings.LastIndexByte(name, '.')+1:])
		}
	}
	count := 0
	if s.Daily != nil {
		count++
		number(".daily.intervalDays")
	}
	if s.Weekly != nil {
		count++
		number(".weekly.intervalWeeks")
		s.Weekly.DayOfWeek = c.weekday(path+".weekly.dayOfWeek", s.Weekly.DayOfWeek)
	}
	if s.AbsoluteMonthly != nil {
		count++
		number(".absoluteMonthly.intervalMonths")
		number(".absoluteMonthly.dayOfMonth")
	}
	if s.RelativeMonthly != nil {
		count++
		number(".relativeMonthly.intervalMonths")
		s.RelativeMonthly.DayOfWeek = c.weekday(path+".relativeMonthly.dayOfWeek", s.RelativeMonthly.DayOfWeek)
		c.missing(path+".relativeMonthly.weekIndex", s.RelativeMonthly.WeekIndex, "one of "+strings.Join(maintenance.Weeks(), ", "))
		for _, week := range maintenance.Weeks() {
			if strings.EqualFold(week, s.RelativeMonthly.WeekIndex) {
				s.RelativeMonthly.WeekIndex = week
			}
		}
	}
	if count != 1 {
		c.fields.Invalid(c.body.Path(path), "The schedule has %d of daily, weekly, absoluteMonthly and relativeMonthly; it has to have exactly one.", count)
	}
}

// body is a configuration on the wire.
func (h *Handlers) body(cluster *v1alpha1.ManagedCluster, m *v1alpha1.MaintenanceConfiguration) map[string]any {
	properties := map[string]any{}
	if len(m.Spec.TimeInWeek) > 0 {
		properties["timeInWeek"] = m.Spec.TimeInWeek
	}
	if len(m.Spec.NotAllowedTime) > 0 {
		properties["notAllowedTime"] = m.Spec.NotAllowedTime
	}
	if m.Spec.MaintenanceWindow != nil {
		properties["maintenanceWindow"] = m.Spec.MaintenanceWindow
	}
	id := h.ID(cluster).Child(Type, m.Spec.Name)
	author := m.Spec.Author
	return map[string]any{
		"id": h.Wire(id), "name": m.Spec.Name, "type": id.Type(), "properties": properties,
		"systemData": map[string]any{
			"createdBy": author.CreatedBy, "createdByType": "Application", "createdAt": author.CreatedAt,
			"lastModifiedBy": author.ModifiedBy, "lastModifiedByType": "Application", "lastModifiedAt": author.ModifiedAt,
		},
	}
}
