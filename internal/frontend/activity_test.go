package frontend_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/history"
)

// activityPath is the log with a filter; since is long ago.
func activityPath(more string) string {
	return "/subscriptions/" + subscriptionID + "/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01&$filter=" +
		url.QueryEscape("eventTimestamp ge 2020-01-01T00:00:00.000001 and eventTimestamp le '2199-01-01T00:00:00Z'"+more)
}

// events tells a page of the log in words.
func events(t *testing.T, a answer) (told []string) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("answered %d %s", a.status, a.raw)
	}
	for _, e := range a.body["value"].([]any) {
		event := e.(map[string]any)
		name := event["operationName"].(map[string]any)
		words := strings.Fields(name["localizedValue"].(string))
		told = append(told, fmt.Sprintf("%s %s %s", words[0], event["resourceId"].(string)[strings.LastIndex(event["resourceId"].(string), "/")+1:], event["status"].(map[string]any)["value"]))
	}
	return told
}

func TestTheActivityTellsWhoAskedForWhatRunsWaitsAndHasEnded(t *testing.T) {
	r, scale := scaling(t)
	r.call(http.MethodPut, poolCall(""), poolOf(`"count":3`), queueHeader, "true")
	r.call(http.MethodPost, poolCall("/abort"), "")
	a := r.call(http.MethodGet, activityPath(""), "")
	got := events(t, a)
	slices.Sort(got)
	want := []string{"Abort nodepool1 Started", "Create demo Started", "Create demo Succeeded", "Scale nodepool1 Accepted", "Scale nodepool1 Started"}
	if !slices.Equal(got, want) {
		t.Errorf("the log tells %v, want %v", got, want)
	}
	for _, e := range a.body["value"].([]any) {
		event := e.(map[string]any)
		if event["caller"] != ownerObject || event["subscriptionId"] != subscriptionID || event["resourceGroupName"] != "rg" {
			t.Errorf("an event is of %v in %v %v", event["caller"], event["subscriptionId"], event["resourceGroupName"])
		}
		if event["operationId"] == scale && event["correlationId"] != r.cluster().Operation("nodepool1").CorrelationID {
			t.Errorf("the scaling has the correlation id %v", event["correlationId"])
		}
	}
	correlation := r.cluster().Operation("nodepool1").CorrelationID
	for more, want := range map[string][]string{
		" and status eq 'accepted'":                                                  {"Scale nodepool1 Accepted"},
		" and status eq 'Succeeded'":                                                 {"Create demo Succeeded"},
		" and correlationId eq '" + correlation + "'":                                {"Scale nodepool1 Started"},
		" and resourceGroupName eq 'RG' and resourceProvider eq 'Microsoft.Network'": nil,
		" and resourceId eq '" + aPool + "' and status eq 'Started'":                 {"Abort nodepool1 Started", "Scale nodepool1 Started"},
		" and caller eq '" + readerObject + "'":                                      nil,
	} {
		got := events(t, r.call(http.MethodGet, activityPath(more), ""))
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", more, got, want)
		}
	}
	if a := r.call(http.MethodGet, activityPath("")+"&$select=caller+,+status", ""); len(a.body["value"].([]any)[0].(map[string]any)) != 2 {
		t.Errorf("the selected properties are %s", a.raw)
	}
}

func TestAFailureIsInTheActivityWithItsReason(t *testing.T) {
	r := newRig(t)
	err := r.history.Put(history.Record{ID: "f", ResourceID: aPool, Verb: meta.VerbUpgrade, Status: meta.OperationFailed,
		StartTime: time.Now().Add(-time.Minute), EndTime: time.Now(), Caller: ownerObject, Failure: &meta.Failure{Code: "DrainBlocked", Message: "the pod web"}})
	if err != nil {
		t.Fatal(err)
	}
	a := r.call(http.MethodGet, activityPath(""), "")
	if got := events(t, a); !slices.Equal(got, []string{"Upgrade nodepool1 Failed", "Upgrade nodepool1 Started"}) {
		t.Errorf("the log tells %v", got)
	}
	event := a.body["value"].([]any)[0].(map[string]any)
	if p := event["properties"].(map[string]any); event["level"] != "Error" || p["statusCode"] != "DrainBlocked" || p["statusMessage"] != "the pod web" {
		t.Errorf("the failure is told as %v, %v", event["level"], p)
	}
}

func TestTheActivityComesInPagesThatNeitherRepeatNorMiss(t *testing.T) {
	r := newRig(t)
	const operations = 230
	start := time.Now().Add(-time.Hour)
	for i := range operations {
		at := start.Add(time.Duration(i) * time.Second)
		if err := r.history.Put(history.Record{ID: fmt.Sprint(i), ResourceID: clusterPath, Verb: meta.VerbUpdate, Status: meta.OperationSucceeded, StartTime: at, EndTime: at}); err != nil {
			t.Fatal(err)
		}
	}
	seen, last := map[string]bool{}, "9"
	for next, pages := activityPath(""), 0; next != ""; pages++ {
		a := r.call(http.MethodGet, next, "")
		for _, e := range a.body["value"].([]any) {
			event := e.(map[string]any)
			id, at := event["id"].(string), event["eventTimestamp"].(string)
			if seen[id] {
				t.Errorf("%s comes twice", id)
			}
			if seen[id] = true; at[:19] > last {
				t.Errorf("%s comes after %s", at, last)
			}
			last = at[:19]
		}
		link, _ := a.body["nextLink"].(string)
		if next = strings.TrimPrefix(link, r.server.URL); pages > 5 {
			t.Fatal("the pages do not end")
		}
	}
	if len(seen) != 2*operations {
		t.Errorf("%d events came, want %d", len(seen), 2*operations)
	}
}

func TestTheActivityIsForThoseWhoMayReadWhatTheyAskFor(t *testing.T) {
	r := made(t)
	r.token = r.tokenOf(readerID) // a reader of the group rg alone
	check(t, r.call(http.MethodGet, activityPath(""), ""), want{403, "AuthorizationFailed", "", "eventtypes/values/read"})
	check(t, r.call(http.MethodGet, activityPath(" and resourceGroupName eq 'other'"), ""), want{403, "AuthorizationFailed", "", ""})
	if got := events(t, r.call(http.MethodGet, activityPath(" and resourceGroupName eq 'rg'"), "")); len(got) != 2 {
		t.Errorf("a reader of the group is told %v", got)
	}
	if got := events(t, r.call(http.MethodGet, activityPath(" and resourceId eq '"+clusterPath+"'"), "")); len(got) != 2 {
		t.Errorf("a reader of the cluster is told %v", got)
	}
}

func TestAnActivityFilterThatCannotBeIsRefused(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct {
		path string
		want want
	}{
		"no filter":             {strings.TrimSuffix(activityPath(""), url.QueryEscape("eventTimestamp ge 2020-01-01T00:00:00.000001 and eventTimestamp le '2199-01-01T00:00:00Z'")), want{400, "BadRequest", "$filter", "no begin"}},
		"an or":                 {activityPath(" or caller eq 'x'"), want{400, "InvalidFilterInQueryString", "$filter", "Supported"}},
		"no time":               {activityPath(" and eventTimestamp ge yesterday"), want{400, "BadRequest", "$filter", "no time"}},
		"an unknown property":   {activityPath(" and level eq 'x'"), want{400, "UnsupportedQuery", "$filter", "'level'"}},
		"a comparison of names": {activityPath(" and caller ge 'x'"), want{400, "UnsupportedQuery", "$filter", "caller ge"}},
		"another subscription":  {activityPath(" and resourceId eq '/subscriptions/" + tenantID + "/resourceGroups/rg'"), want{400, "BadRequest", "$filter", "resourceId"}},
		"a foreign token":       {activityPath("") + "&$skipToken=x", want{400, "InvalidSkipToken", "$skipToken", ""}},
		"a long filter":         {activityPath(" and caller eq '" + strings.Repeat("x", 2000) + "'"), want{400, "InvalidFilterInQueryString", "$filter", ""}},
	} {
		t.Run(name, func(t *testing.T) { check(t, r.call(http.MethodGet, c.path, ""), c.want) })
	}
}
