package containerservice

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
	"berth.dev/berth/internal/schedule"
)

// maxPowerSchedules is how many power schedules a cluster may have.
const maxPowerSchedules = 10

// powerSchedules is the resource type below a cluster of BerthNamespace.
const powerSchedules = "powerSchedules"

// powerScheduleRoutes are those of the schedules by which clusters stop and start.
func (p *Provider) powerScheduleRoutes() []arm.Route {
	const (
		all = "/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/" + BerthNamespace + "/managedClusters/{resourceName}/" + powerSchedules
		one = all + "/{scheduleName}"
		on  = BerthNamespace + "/managedClusters/" + powerSchedules + "/"
	)
	routes := []arm.Route{
		{Method: http.MethodGet, Pattern: all, Action: on + "read", Handle: p.listPowerSchedules},
		{Method: http.MethodGet, Pattern: one, Action: on + "read", Handle: p.getPowerSchedule},
		{Method: http.MethodPut, Pattern: one, Action: on + "write", Handle: p.putPowerSchedule},
		{Method: http.MethodDelete, Pattern: one, Action: on + "delete", Handle: p.deletePowerSchedule},
	}
	for i := range routes {
		routes[i].Versions = &arm.VersionTable{ResourceType: "managedClusters/" + powerSchedules, Location: p.Location, Versions: []string{BerthVersion}}
	}
	return routes
}

// powerScheduleRequest is a schedule as a caller writes it.
type powerScheduleRequest struct {
	Properties struct {
		Stop     string `json:"stop"`
		Start    string `json:"start"`
		TimeZone string `json:"timeZone"`
		Enabled  *bool  `json:"enabled"`
	} `json:"properties"`
}

// powerScheduleProperties is what the body of a schedule may hold.
func powerScheduleProperties() []arm.Property {
	properties := []arm.Property{
		{Path: "properties", Kind: arm.Object},
		{Path: "properties.stop", Kind: arm.String}, {Path: "properties.start", Kind: arm.String},
		{Path: "properties.timeZone", Kind: arm.String}, {Path: "properties.enabled", Kind: arm.Boolean},
	}
	for _, path := range []string{
		"id", "name", "type", "properties.state", "properties.message", "properties.nextStop", "properties.nextStart", "properties.lastRun",
	} {
		properties = append(properties, arm.Property{Path: path, Kind: arm.Any, Use: arm.ReadOnly})
	}
	return properties
}

// readPowerSchedule reads the body of a request for a schedule.
func readPowerSchedule(r *arm.Request) (*containerservicev1alpha1.PowerSchedule, error) {
	schema, err := arm.NewSchema(powerScheduleProperties())
	if err != nil {
		return nil, err
	}
	fields := &arm.FieldErrors{}
	body, err := schema.Read(r.Body, fields)
	if err != nil {
		return nil, err
	}
	var request powerScheduleRequest
	if !fields.Malformed() {
		if err := body.Decode(&request); err != nil {
			return nil, err
		}
		checkPowerSchedule(request, fields)
	}
	if err := fields.Err(); err != nil {
		return nil, err
	}
	properties := request.Properties
	wanted := &containerservicev1alpha1.PowerSchedule{
		Name: scheduleName(r), Stop: strings.TrimSpace(properties.Stop), Start: strings.TrimSpace(properties.Start), TimeZone: properties.TimeZone,
		Disabled: properties.Enabled != nil && !*properties.Enabled,
	}
	if wanted.TimeZone == "" {
		wanted.TimeZone = "UTC"
	}
	return wanted, nil
}

func scheduleName(r *arm.Request) string { return strings.ToLower(r.Param("scheduleName")) }

// checkPowerSchedule notes what is wrong with a schedule, each at its path.
func checkPowerSchedule(request powerScheduleRequest, fields *arm.FieldErrors) {
	properties := request.Properties
	zone, err := schedule.Zone(properties.TimeZone)
	if err != nil {
		fields.Invalid("properties.timeZone", "The time zone is unknown: %v.", err)
		zone = time.UTC
	}
	stop, start := strings.TrimSpace(properties.Stop), strings.TrimSpace(properties.Start)
	if stop == "" && start == "" {
		fields.Invalid("properties", "A power schedule needs a time to stop or a time to start, or both: set properties.stop or properties.start, as in '0 20 * * 1-5'.")
		return
	}
	for path, expression := range map[string]string{"properties.start": start, "properties.stop": stop} {
		if expression == "" {
			continue
		}
		if _, err := schedule.Parse(expression, zone); err != nil {
			fields.Invalid(path, "The schedule '%.100s' cannot be kept: %v.", expression, err)
		}
	}
	if strings.Join(strings.Fields(stop), " ") == strings.Join(strings.Fields(start), " ") {
		fields.Invalid("properties.start", "The cluster would stop and start at the same times, '%.100s'.", start)
	}
}

// putPowerSchedule makes or replaces a schedule. One that already is as wanted
// stays, with what it has done; one that changes counts from now on. The schedule
// may do only what its author may.
func (p *Provider) putPowerSchedule(w http.ResponseWriter, r *arm.Request) error {
	if name := r.Param("scheduleName"); !regexp.MustCompile(`^[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$`).MatchString(name) {
		return arm.NewError(http.StatusBadRequest, arm.CodeInvalidParameter,
			"The name '%.100s' is not that of a power schedule: up to 63 letters, digits and - _ . between, a letter or digit at both ends.", name).At("scheduleName")
	}
	wanted, err := readPowerSchedule(r)
	if err != nil {
		return err
	}
	if err := p.mayPower(r, wanted); err != nil {
		return err
	}
	return resources.RetryConflicts(func() error {
		cluster, err := p.cluster(r)
		if err != nil {
			return err
		}
		if cluster.DeletionTimestamp != nil {
			return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
				"Operation is not allowed: the managed cluster '%s' is being deleted.", cluster.Spec.Name)
		}
		known := cluster.PowerSchedule(wanted.Name)
		if known != nil && samePowerSchedule(known, wanted) {
			return arm.WriteJSON(w, http.StatusOK, powerScheduleBody(cluster, known))
		}
		if known == nil && len(cluster.Spec.PowerSchedules) >= maxPowerSchedules {
			return arm.NewError(http.StatusConflict, "QuotaExceeded",
				"The managed cluster '%s' has %d power schedules, which is the most. Delete one first.", cluster.Spec.Name, maxPowerSchedules)
		}
		next, status := cluster.DeepCopy(), http.StatusCreated
		wanted.Since = metav1.NewTime(p.Now())
		if at := next.PowerSchedule(wanted.Name); at != nil {
			wanted.LastRun, status = at.LastRun, http.StatusOK
			*at = *wanted
		} else {
			next.Spec.PowerSchedules = append(next.Spec.PowerSchedules, *wanted)
		}
		if err := p.Client.Update(r.Context(), next); err != nil {
			return err
		}
		return arm.WriteJSON(w, status, powerScheduleBody(next, next.PowerSchedule(wanted.Name)))
	})
}

// samePowerSchedule says that two schedules are due at the same times.
func samePowerSchedule(a, b *containerservicev1alpha1.PowerSchedule) bool {
	return a.Stop == b.Stop && a.Start == b.Start && a.TimeZone == b.TimeZone && a.Disabled == b.Disabled
}

// mayPower refuses a schedule that would do what the caller may not do at once.
func (p *Provider) mayPower(r *arm.Request, wanted *containerservicev1alpha1.PowerSchedule) error {
	access, err := p.Tokens.Access(r.Context(), r.Principal)
	if err != nil {
		return err
	}
	id := requestID(r).String()
	if wanted.Stop != "" {
		if err := access.Check(onClusters+"stop/action", id); err != nil {
			return err
		}
	}
	if wanted.Start != "" {
		return access.Check(onClusters+"start/action", id)
	}
	return nil
}

func (p *Provider) getPowerSchedule(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.cluster(r)
	if err != nil {
		return err
	}
	found := cluster.PowerSchedule(scheduleName(r))
	if found == nil {
		return arm.ResourceNotFound(powerScheduleID(cluster, r.Param("scheduleName")))
	}
	return arm.WriteJSON(w, http.StatusOK, powerScheduleBody(cluster, found))
}

func (p *Provider) listPowerSchedules(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.cluster(r)
	if err != nil {
		return err
	}
	bodies := []object{}
	for i := range cluster.Spec.PowerSchedules {
		bodies = append(bodies, powerScheduleBody(cluster, &cluster.Spec.PowerSchedules[i]))
	}
	page, err := arm.Page(r, bodies, func(b object) string { return b["name"].(string) })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

// deletePowerSchedule deletes a schedule; an operation that it started goes on.
func (p *Provider) deletePowerSchedule(w http.ResponseWriter, r *arm.Request) error {
	return resources.RetryConflicts(func() error {
		cluster, err := p.cluster(r)
		if err != nil {
			return err
		}
		if cluster.PowerSchedule(scheduleName(r)) == nil {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		next := cluster.DeepCopy()
		next.Spec.PowerSchedules = slices.DeleteFunc(next.Spec.PowerSchedules, func(s containerservicev1alpha1.PowerSchedule) bool {
			return s.Name == scheduleName(r)
		})
		if err := p.Client.Update(r.Context(), next); err != nil {
			return err
		}
		w.WriteHeader(http.StatusOK)
		return nil
	})
}

func powerScheduleID(c *containerservicev1alpha1.ManagedCluster, name string) arm.ResourceID {
	id := ClusterID(c.Spec.SubscriptionID, c.Spec.ResourceGroup, c.Spec.Name).Child(powerSchedules, name)
	id.Provider = BerthNamespace
	return id
}

// powerScheduleBody is a schedule on the wire.
func powerScheduleBody(c *containerservicev1alpha1.ManagedCluster, s *containerservicev1alpha1.PowerSchedule) object {
	properties := object{"timeZone": s.TimeZone, "enabled": !s.Disabled, "state": "Scheduled"}
	for name, expression := range map[string]string{"stop": s.Stop, "start": s.Start} {
		if expression != "" {
			properties[name] = expression
		}
	}
	if s.Disabled {
		properties["state"] = "Disabled"
	}
	if observed := c.PowerScheduleStatus(s.Name); observed != nil {
		for _, condition := range observed.Conditions {
			if condition.Type == containerservicev1alpha1.ConditionScheduled {
				properties["state"], properties["message"] = condition.Reason, condition.Message
			}
		}
		for name, next := range map[string]*metav1.Time{"nextStop": observed.NextStop, "nextStart": observed.NextStart} {
			if next != nil {
				properties[name] = next.UTC().Format(time.RFC3339)
			}
		}
	}
	if run := s.LastRun; run != nil {
		last := object{"due": run.Due.UTC().Format(time.RFC3339), "action": run.Verb}
		if run.OperationID != "" {
			last["operationId"] = run.OperationID
		}
		properties["lastRun"] = last
	}
	id := powerScheduleID(c, s.Name)
	return object{"id": id.String(), "name": s.Name, "type": id.Type(), "properties": properties}
}
