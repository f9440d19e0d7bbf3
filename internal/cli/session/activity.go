package session

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// activityVersion is the api-version of the activity log.
const activityVersion = "2015-04-01"

// Activity are the newest events of the subscription that a filter selects, at
// most so many, the newest first.
func (e *Extension) Activity(ctx context.Context, filter string, most int) ([]map[string]any, error) {
	first := runtime.JoinPaths(e.client.Endpoint(), "subscriptions", e.subscription, "providers/Microsoft.Insights/eventtypes/management/values") +
		"?" + url.Values{"api-version": {activityVersion}, "$filter": {filter}}.Encode()
	events := []map[string]any{}
	for next := first; next != "" && len(events) < most; {
		var page struct {
			Value    []map[string]any `json:"value"`
			NextLink string           `json:"nextLink"`
		}
		if err := e.page(ctx, next, &page); err != nil {
			return nil, err
		}
		events, next = append(events, page.Value...), page.NextLink
	}
	return events[:min(most, len(events))], nil
}

// page reads a page of a list.
func (e *Extension) page(ctx context.Context, link string, into any) error {
	request, err := runtime.NewRequest(ctx, http.MethodGet, link)
	if err != nil {
		return err
	}
	response, err := e.client.Pipeline().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if !runtime.HasStatusCode(response, http.StatusOK) {
		return runtime.NewResponseError(response)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("reading the activity: %w", err)
	}
	return nil
}
