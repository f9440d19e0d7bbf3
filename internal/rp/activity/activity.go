// Package activity is the part of the resource provider Microsoft.Insights that
// tells who asked for what: the activity log. It keeps nothing of its own: what
// it lists are the operations that run, wait or have ended, as they are stored
// with the resources and in the history.
package activity

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/history"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/rp/operation"
	"berth.dev/berth/internal/rp/resources"
)

// Namespace is the name of the resource provider.
const Namespace = "Microsoft.Insights"

// Version is the only api-version of the log.
const Version = "2015-04-01"

// pageSize is how many events of ended operations a page has at most.
const pageSize = 200

// actionRead is what a caller needs on the subscription, or on the resource
// group or the resource that the filter names.
const actionRead = Namespace + "/eventtypes/values/read"

// History has the moments of ended operations.
type History interface {
	Moments(q history.Query) (found []history.Moment, next string, err error)
}

// Operations has those that have not ended.
type Operations interface {
	Unended(ctx context.Context, subscriptionID string, clusters client.ListOption) ([]operation.Operation, error)
}

// Provider answers the routes of the log.
type Provider struct {
	History    History
	Operations Operations
	// Tokens decides what a caller may see.
	Tokens *identity.Service
	// Location is the only region, TenantID the only tenant.
	Location, TenantID string
}

// Routes are what the provider answers.
func (p *Provider) Routes() []arm.Route {
	versions := &arm.VersionTable{ResourceType: "eventtypes", Location: p.Location, Versions: []string{Version}}
	return []arm.Route{
		// Which scope has to allow it depends on the filter.
		{Method: http.MethodGet, Pattern: "/subscriptions/{subscriptionID}/providers/" + Namespace + "/eventtypes/management/values", Versions: versions, Handle: p.list},
		{Method: http.MethodGet, Pattern: "/providers/" + Namespace + "/eventcategories", Versions: versions, Handle: p.categories},
	}
}

// ResourceTypes are the provider's resource types with their api-versions.
func (p *Provider) ResourceTypes() map[string][]string {
	return map[string][]string{"eventtypes": {Version}, "eventCategories": {Version}}
}

// categories are the kinds of events that there are.
func (p *Provider) categories(w http.ResponseWriter, _ *arm.Request) error {
	return arm.WriteJSON(w, http.StatusOK, arm.List[localized]{Value: []localized{same(administrative)}})
}

// list answers with a page of events, the newest first.
func (p *Provider) list(w http.ResponseWriter, r *arm.Request) error {
	filter, unreadable := readFilter(r)
	if err := p.authorize(r, filter.scope); err != nil {
		return err
	}
	if unreadable != nil {
		return unreadable
	}
	before := r.URL.Query().Get("$skipToken")
	if before != "" && !history.ValidKey(before) {
		return arm.NewError(http.StatusBadRequest, "InvalidSkipToken",
			"The value of the query parameter $skipToken is not one that this service gave out.").At("$skipToken")
	}
	moments, next, err := p.moments(r, filter, before)
	if err != nil {
		return err
	}
	page := arm.List[map[string]any]{Value: make([]map[string]any, 0, len(moments))}
	for _, moment := range moments {
		page.Value = append(page.Value, filter.selected(p.event(moment)))
	}
	if next != "" {
		query := r.URL.Query()
		query.Set("$skipToken", next)
		page.NextLink = r.BaseURL() + r.URL.EscapedPath() + "?" + query.Encode()
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

func (p *Provider) authorize(r *arm.Request, scope string) error {
	access, err := p.Tokens.Access(r.Context(), r.Principal)
	if err != nil {
		return err
	}
	return access.Check(actionRead, scope)
}

// moments are the page's, the newest first. What has not ended is read before
// what has, so that none is missed that ends meanwhile; such a one is told once.
func (p *Provider) moments(r *arm.Request, filter filter, before string) ([]history.Moment, string, error) {
	subscriptionID := strings.ToLower(r.Param("subscriptionID"))
	unended, err := p.Operations.Unended(r.Context(), subscriptionID, client.MatchingLabels{resources.SubscriptionLabel: subscriptionID})
	if err != nil {
		return nil, "", err
	}
	query := history.Query{Since: filter.since, Until: filter.until, Before: before, Most: pageSize, Wanted: filter.wants}
	moments, next, err := p.History.Moments(query)
	if err != nil {
		return nil, "", err
	}
	for _, o := range unended {
		if moment := begun(o); query.Spans(moment) && moment.Key() > next && filter.wants(moment) {
			moments = append(moments, moment)
		}
	}
	slices.SortStableFunc(moments, func(a, b history.Moment) int { return strings.Compare(b.Key(), a.Key()) })
	return slices.CompactFunc(moments, func(a, b history.Moment) bool { return a.Key() == b.Key() }), next, nil
}

// begun is the begin of an operation that has not ended. One that waits has no
// status yet.
func begun(o operation.Operation) history.Moment {
	if o.Phase == operation.PhaseQueued {
		o.Status = ""
	}
	return history.Moment{Time: o.StartTime, Record: history.Record{
		ID: o.ID, ResourceID: o.ResourceID, Verb: o.Verb, Status: o.Status, StartTime: o.StartTime,
		Caller: o.Caller, CorrelationID: o.CorrelationID, Failure: o.Failure,
	}}
}
