package frontend_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

const (
	configsPath = clusterPath + "/maintenanceConfigurations"
	nightly     = `{"properties":{"maintenanceWindow":{"schedule":{"weekly":{"intervalWeeks":2,"dayOfWeek":"friday"}},"durationHours":6,"utcOffset":"+05:30","startDate":"2026-11-27","startTime":"22:00","notAllowedDates":[{"start":"2026-12-24","end":"2027-01-02"}]}}}`
	hourly      = `{"properties":{"timeInWeek":[{"day":"Monday","hourSlots":[2,1,2]}],"notAllowedTime":[{"start":"2026-12-24T00:00:00Z","end":"2027-01-02T00:00:00+01:00"}]}}`
)

func (r *rig) configs() []containerservicev1alpha1.MaintenanceConfiguration {
	r.t.Helper()
	var list containerservicev1alpha1.MaintenanceConfigurationList
	if err := r.store.List(r.t.Context(), &list); err != nil {
		r.t.Fatal(err)
	}
	return list.Items
}

func TestAMaintenanceConfigurationIsMadeReadListedReplacedAndDeleted(t *testing.T) {
	r := made(t)
	const path = configsPath + "/aksManagedAutoUpgradeSchedule"
	check(t, r.call(http.MethodGet, path, ""), want{404, "ResourceNotFound", "", "aksManagedAutoUpgradeSchedule"})
	a := r.call(http.MethodPut, configsPath+"/AKSmanagedautoupgradeschedule", nightly)
	if a.status != http.StatusCreated || a.body["name"] != "aksManagedAutoUpgradeSchedule" || !strings.Contains(a.raw, `"dayOfWeek":"Friday"`) ||
		!strings.HasSuffix(a.body["id"].(string), "/managedClusters/demo/maintenanceConfigurations/aksManagedAutoUpgradeSchedule") {
		t.Fatalf("made: %d %s", a.status, a.raw)
	}
	if a := r.call(http.MethodGet, path, ""); a.status != http.StatusOK || !strings.Contains(a.raw, `"utcOffset":"+05:30"`) || !strings.Contains(a.raw, `"end":"2027-01-02"`) {
		t.Errorf("read: %d %s", a.status, a.raw)
	}
	if a := r.call(http.MethodPut, configsPath+"/default", hourly); a.status != http.StatusCreated || !strings.Contains(a.raw, `"hourSlots":[1,2]`) || !strings.Contains(a.raw, `"end":"2027-01-01T23:00:00Z"`) {
		t.Errorf("the hours: %d %s", a.status, a.raw)
	}
	if a := r.call(http.MethodGet, configsPath, ""); a.status != http.StatusOK || len(a.body["value"].([]any)) != 2 {
		t.Errorf("listed: %d %s", a.status, a.raw)
	}
	first := r.call(http.MethodGet, path, "").body["systemData"].(map[string]any)
	a = r.call(http.MethodPut, path, strings.Replace(nightly, `"startDate":"2026-11-27",`, "", 1))
	second, _ := a.body["systemData"].(map[string]any)
	if a.status != http.StatusOK || second["createdAt"] != first["createdAt"] || second["createdBy"] != ownerID || second["createdByType"] != "Application" || second["lastModifiedBy"] != ownerID {
		t.Errorf("replaced: %d %s", a.status, a.raw)
	}
	if !strings.Contains(a.raw, `"startDate":"2026-11-27"`) {
		t.Errorf("the day that intervals count from went away: %s", a.raw)
	}
	if len(r.cluster().Spec.Operations) != 0 {
		t.Error("the cluster has an operation")
	}
	for _, status := range []int{http.StatusOK, http.StatusNoContent} {
		if a := r.call(http.MethodDelete, path, ""); a.status != status {
			t.Errorf("deleted: %d %s, want %d", a.status, a.raw, status)
		}
	}
	if got := r.configs(); len(got) != 1 || got[0].Spec.Name != "default" {
		t.Errorf("left are %v", got)
	}
}

func TestAWindowThatDoesNotSayHasTheDefaultsOfTheAPI(t *testing.T) {
	r := made(t)
	a := r.call(http.MethodPut, configsPath+"/aksManagedNodeOSUpgradeSchedule", `{"properties":{"maintenanceWindow":{"schedule":{"daily":{"intervalDays":1}},"startTime":"00:30"}}}`)
	today := time.Now().UTC().Format("2006-01-02")
	if a.status != http.StatusCreated || !strings.Contains(a.raw, `"durationHours":24`) || !strings.Contains(a.raw, `"utcOffset":"+00:00"`) || !strings.Contains(a.raw, `"startDate":"`+today) {
		t.Errorf("made: %d %s", a.status, a.raw)
	}
}

// windowOf is a body with parts of a window.
func windowOf(parts string) string {
	return `{"properties":{"maintenanceWindow":{` + parts + `}}}`
}

func TestAWrongMaintenanceConfigurationIsRefusedAndChangesNothing(t *testing.T) {
	r := made(t)
	const auto, window, schedule = "aksManagedAutoUpgradeSchedule", "properties.maintenanceWindow", "properties.maintenanceWindow.schedule"
	daily := func(parts string) string {
		return windowOf(`"startTime":"22:00","schedule":{"daily":{"intervalDays":1}}` + parts)
	}
	on := func(schedule string) string { return windowOf(`"startTime":"22:00","schedule":{` + schedule + `}`) }
	for name, c := range map[string]struct{ config, body, target, message string }{
		"no parts":                     {"default", `{"properties":{}}`, "properties", "needs timeInWeek"},
		"no window":                    {auto, `{}`, window, "needs a maintenanceWindow"},
		"hours where a window belongs": {auto, hourly, window, "go with 'default'"},
		"hours and a window":           {"default", strings.Replace(hourly, `"properties":{`, `"properties":{"maintenanceWindow":{"startTime":"22:00","schedule":{"daily":{"intervalDays":1}}},`, 1), window, "either"},
		"a name that is none":          {"-x", daily(""), "configName", "begins and ends"},
		"no schedule":                  {auto, windowOf(`"startTime":"22:00"`), schedule, "has 0 of daily"},
		"two schedules":                {auto, on(`"daily":{"intervalDays":1},"weekly":{"intervalWeeks":1,"dayOfWeek":"Monday"}`), schedule, "has 2 of daily"},
		"no days between":              {auto, on(`"daily":{}`), schedule + ".daily.intervalDays", "missing"},
		"too many days between":        {auto, on(`"daily":{"intervalDays":8}`), schedule + ".daily.intervalDays", "1 to 7"},
		"too many weeks between":       {auto, on(`"weekly":{"intervalWeeks":5,"dayOfWeek":"Monday"}`), schedule + ".weekly.intervalWeeks", "1 to 4"},
		"no day of the week":           {auto, on(`"weekly":{"intervalWeeks":1}`), schedule + ".weekly.dayOfWeek", "missing"},
		"no such day of the week":      {auto, on(`"weekly":{"intervalWeeks":1,"dayOfWeek":"Mon"}`), schedule + ".weekly.dayOfWeek", "Monday"},
		"a month of 32 days":           {auto, on(`"absoluteMonthly":{"intervalMonths":1,"dayOfMonth":32}`), schedule + ".absoluteMonthly.dayOfMonth", "1 to 31"},
		"too many months between":      {auto, on(`"absoluteMonthly":{"intervalMonths":7,"dayOfMonth":1}`), schedule + ".absoluteMonthly.intervalMonths", "1 to 6"},
		"a fifth week":                 {auto, on(`"relativeMonthly":{"intervalMonths":1,"dayOfWeek":"Monday","weekIndex":"Fifth"}`), schedule + ".relativeMonthly.weekIndex", "Last"},
		"no week":                      {auto, on(`"relativeMonthly":{"intervalMonths":1,"dayOfWeek":"Monday"}`), schedule + ".relativeMonthly.weekIndex", "missing"},
		"shorter than allowed":         {auto, daily(`,"durationHours":3`), window + ".durationHours", "4 to 24"},
		"longer than allowed":          {auto, daily(`,"durationHours":25`), window + ".durationHours", "4 to 24"},
		"half an hour":                 {auto, daily(`,"durationHours":4.5`), window + ".durationHours", "integer"},
		"an offset without a sign":     {auto, daily(`,"utcOffset":"05:30"`), window + ".utcOffset", "offset"},
		"an offset of no place":        {auto, daily(`,"utcOffset":"+15:00"`), window + ".utcOffset", "+14:00"},
		"no time":                      {auto, windowOf(`"schedule":{"daily":{"intervalDays":1}}`), window + ".startTime", "missing"},
		"no such time":                 {auto, strings.Replace(daily(""), "22:00", "24:00", 1), window + ".startTime", "23:59"},
		"no such day":                  {auto, daily(`,"startDate":"2026-02-30"`), window + ".startDate", "calendar"},
		"a day in another form":        {auto, daily(`,"startDate":"30.1.2026"`), window + ".startDate", "2026-12-24"},
		"not allowed backwards":        {auto, daily(`,"notAllowedDates":[{"start":"2026-12-24","end":"2026-12-23"}]`), window + ".notAllowedDates[0].end", "before the start"},
		"not allowed without an end":   {auto, daily(`,"notAllowedDates":[{"start":"2026-12-24"}]`), window + ".notAllowedDates[0].end", "missing"},
		"an hour of no day":            {"default", `{"properties":{"timeInWeek":[{"day":"Monday","hourSlots":[24]}]}}`, "properties.timeInWeek[0].hourSlots[0]", "0 to 23"},
		"hours of no day":              {"default", `{"properties":{"timeInWeek":[{"hourSlots":[1]}]}}`, "properties.timeInWeek[0].day", "missing"},
		"a day without hours":          {"default", `{"properties":{"timeInWeek":[{"day":"Monday"}]}}`, "properties.timeInWeek[0].hourSlots", "missing"},
		"a span backwards":             {"default", `{"properties":{"notAllowedTime":[{"start":"2026-12-24T00:00:00Z","end":"2026-12-24T00:00:00Z"}]}}`, "properties.notAllowedTime[0].end", "not after"},
		"a span of no moment":          {"default", `{"properties":{"notAllowedTime":[{"start":"2026-12-44T00:00:00Z","end":"2026-12-24T00:00:00Z"}]}}`, "properties.notAllowedTime[0].start", "calendar"},
		"a span without a start":       {"default", `{"properties":{"notAllowedTime":[{"end":"2026-12-24T00:00:00Z"}]}}`, "properties.notAllowedTime[0].start", "missing"},
		"a property of nobody":         {auto, daily(`,"duration":4`), window + ".duration", "unknown"},
		"the caller's own spelling":    {auto, `{"Properties":{"MaintenanceWindow":{"StartTime":"24:00","schedule":{"daily":{"intervalDays":1}}}}}`, "Properties.MaintenanceWindow.StartTime", "23:59"},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.call(http.MethodPut, configsPath+"/"+c.config, c.body)
			if code, target, message := a.errorOf(); a.status != http.StatusBadRequest || code == "" || target != c.target || !strings.Contains(message, c.message) {
				t.Errorf("answered %d %s", a.status, a.raw)
			}
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
				r.writes = 0
			}
		})
	}
	a := r.call(http.MethodPut, configsPath+"/"+auto, windowOf(`"durationHours":3,"utcOffset":"x","startTime":"25:00","schedule":{"weekly":{"intervalWeeks":9}}`))
	for _, target := range []string{"durationHours", "utcOffset", "startTime", "schedule.weekly.intervalWeeks", "schedule.weekly.dayOfWeek"} {
		if !strings.Contains(a.raw, `"target":"`+window+"."+target+`"`) {
			t.Errorf("nothing is said of %s: %s", target, a.raw)
		}
	}
}

func TestAMaintenanceConfigurationNeedsItsClusterAndIsNotThatOfAFormerOne(t *testing.T) {
	r := made(t)
	check(t, r.call(http.MethodPut, strings.Replace(configsPath, "demo", "other", 1)+"/default", hourly), want{404, "ResourceNotFound", "", "other"})
	if a := r.call(http.MethodPut, configsPath+"/default", hourly); a.status != http.StatusCreated {
		t.Fatal(a.raw)
	}
	left := r.configs()[0]
	left.Spec.ClusterIncarnation = "aformerone"
	if err := r.store.Update(t.Context(), &left); err != nil {
		t.Fatal(err)
	}
	check(t, r.call(http.MethodGet, configsPath+"/default", ""), want{404, "ResourceNotFound", "", "default"})
	if a := r.call(http.MethodGet, configsPath, ""); len(a.body["value"].([]any)) != 0 {
		t.Errorf("listed: %s", a.raw)
	}
	if a := r.call(http.MethodPut, configsPath+"/default", hourly); a.status != http.StatusCreated || r.configs()[0].Spec.ClusterIncarnation != r.cluster().Spec.Incarnation {
		t.Errorf("made anew: %d %s", a.status, a.raw)
	}
}

func TestAClusterThatIsBeingDeletedTakesNoMaintenanceConfiguration(t *testing.T) {
	r := made(t)
	if err := r.store.Delete(t.Context(), r.cluster(), client.Preconditions{}); err != nil {
		t.Fatal(err)
	}
	r.writes = 0
	check(t, r.call(http.MethodPut, configsPath+"/default", hourly), want{409, "OperationNotAllowed", "", "being deleted"})
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
}

func TestAClusterHasABoundedNumberOfMaintenanceConfigurations(t *testing.T) {
	r := made(t)
	for i := range 20 {
		if a := r.call(http.MethodPut, fmt.Sprintf("%s/c%d", configsPath, i), hourly); a.status != http.StatusCreated {
			t.Fatalf("the %dth: %d %s", i, a.status, a.raw)
		}
	}
	check(t, r.call(http.MethodPut, configsPath+"/onemore", hourly), want{409, "QuotaExceeded", "", "20"})
}
