package activity

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/history"
)

// maxFilter is the longest $filter that is read.
const maxFilter = 2000

// supportedFilter is what a refused $filter is told.
const supportedFilter = "eventTimestamp ge TIME, which has to be there, and eventTimestamp le TIME, resourceGroupName eq, resourceId eq, resourceProvider eq, correlationId eq, caller eq, status eq, joined by and"

// filter is what a caller wants to see.
type filter struct {
	since, until time.Time
	// subscription is the id of the path's; scope is the smallest that the filter
	// names: that of the authorization.
	subscription, scope string
	// properties are those of $select, nil for all.
	properties []string
	conditions []func(history.Moment) bool
}

// wants says whether an event is one of those.
func (f filter) wants(m history.Moment) bool {
	for _, condition := range f.conditions {
		if !condition(m) {
			return false
		}
	}
	return true
}

// selected is an event with the properties that are wanted.
func (f filter) selected(event map[string]any) map[string]any {
	if f.properties == nil {
		return event
	}
	reduced := map[string]any{}
	for name, value := range event {
		for _, property := range f.properties {
			if strings.EqualFold(property, name) {
				reduced[name] = value
			}
		}
	}
	return reduced
}

// readFilter reads $filter, which has to be there, and $select.
func readFilter(r *arm.Request) (filter, error) {
	subscription := "/subscriptions/" + r.Param("subscriptionID")
	f := filter{until: farAway(), subscription: subscription, scope: subscription, conditions: []func(history.Moment) bool{within(subscription)}}
	text := strings.TrimSpace(r.URL.Query().Get("$filter"))
	// The time may stand without quotes.
	term := regexp.MustCompile(`^(?i:([a-z]+)\s+(eq|ge|le)\s+(?:'((?:[^']|'')*)'|([^'\s]\S*))(?:\s+and\s+|\s*$))`)
	for rest := text; rest != ""; {
		match := term.FindStringSubmatch(rest)
		if match == nil || len(text) > maxFilter {
			return f, arm.NewError(http.StatusBadRequest, "InvalidFilterInQueryString", "The filter could not be read. Supported: %s.", supportedFilter).At("$filter")
		}
		if err := f.add(match[1], strings.ToLower(match[2]), strings.ReplaceAll(match[3]+match[4], "''", "'")); err != nil {
			return f, err
		}
		rest = rest[len(match[0]):]
	}
	if f.since.IsZero() {
		return f, arm.NewError(http.StatusBadRequest, "BadRequest", "The filter names no begin. Supported: %s.", supportedFilter).At("$filter")
	}
	for _, property := range strings.Split(r.URL.Query().Get("$select"), ",") {
		if property = strings.TrimSpace(property); property != "" {
			f.properties = append(f.properties, property)
		}
	}
	return f, nil
}

// farAway is later than every event.
func farAway() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }

// add adds a term's condition.
func (f *filter) add(name, operator, value string) error {
	if strings.EqualFold(name, "eventTimestamp") && operator != "eq" {
		return f.bound(operator, value)
	}
	if operator != "eq" {
		return unsupported(name + " " + operator)
	}
	is := func(of func(history.Moment) string) func(history.Moment) bool {
		return func(m history.Moment) bool { return strings.EqualFold(of(m), value) }
	}
	switch strings.ToLower(name) {
	case "resourcegroupname":
		return f.narrow(f.subscription+"/resourceGroups/"+value, name)
	case "resourceid", "resourceuri":
		return f.narrow("/"+strings.Trim(value, "/"), name)
	case "resourceprovider":
		f.conditions = append(f.conditions, is(func(m history.Moment) string { return providerOf(m.Record) }))
	case "correlationid":
		f.conditions = append(f.conditions, is(func(m history.Moment) string { return m.Record.CorrelationID }))
	case "caller":
		f.conditions = append(f.conditions, is(func(m history.Moment) string { return m.Record.Caller }))
	case "status":
		f.conditions = append(f.conditions, is(statusOf))
	default:
		return unsupported(name)
	}
	return nil
}

// narrow keeps what lies in a scope of the subscription. What the scopes of two
// terms have in common is no more than either: the longer one is asked for.
func (f *filter) narrow(scope, name string) error {
	if id, err := arm.ParseResourceID(scope); err != nil || !strings.EqualFold("/subscriptions/"+id.SubscriptionID, f.subscription) {
		return arm.NewError(http.StatusBadRequest, "BadRequest", "The filter's %s names nothing in the subscription.", name).At("$filter")
	}
	f.conditions = append(f.conditions, within(scope))
	if len(scope) > len(f.scope) {
		f.scope = scope
	}
	return nil
}

// within says that an operation's resource is of an id, or nested in it.
func within(scope string) func(history.Moment) bool {
	scope = strings.ToLower(scope)
	return func(m history.Moment) bool {
		id := strings.ToLower(m.Record.ResourceID)
		return id == scope || strings.HasPrefix(id, scope+"/")
	}
}

// bound sets the begin or the end of the time.
func (f *filter) bound(operator, value string) error {
	// One without a zone is UTC. A plus that was not escaped comes as a space.
	value = strings.ReplaceAll(value, " ", "+")
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", time.DateOnly} {
		at, err := time.Parse(layout, value)
		if err != nil {
			continue
		}
		if early := time.Unix(0, 0); at.Before(early) {
			at = early
		}
		if at.After(farAway()) {
			at = farAway()
		}
		if operator == "ge" {
			f.since = at
		} else {
			f.until = at
		}
		return nil
	}
	return arm.NewError(http.StatusBadRequest, "BadRequest", "The filter's eventTimestamp '%.40s' is no time such as 2026-01-31T08:00:00Z.", value).At("$filter")
}

func unsupported(term string) error {
	return arm.NewError(http.StatusBadRequest, "UnsupportedQuery", "The filter '%.60s' is not supported. Supported: %s.", term, supportedFilter).At("$filter")
}
