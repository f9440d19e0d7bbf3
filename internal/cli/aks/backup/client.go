package backup

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/progress"
	"berth.dev/berth/internal/cli/session"
)

// apiVersion is that of Berth.ContainerService.
const apiVersion = "2026-11-01"

// pollInterval is how often a backup that is being made is looked at.
const pollInterval = 500 * time.Millisecond

// backup is a backup on the wire, as far as the commands read it.
type backup struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Properties map[string]any `json:"properties"`
}

func (b backup) text(property string) string {
	value, _ := b.Properties[property].(string)
	return value
}

// client calls the routes of backups.
type client struct {
	arm          *arm.Client
	subscription string
}

func open(s *session.Session) (client, error) {
	subscription, err := s.SubscriptionID()
	if err != nil {
		return client{}, err
	}
	c, err := s.ARM()
	return client{arm: c, subscription: subscription}, err
}

// path is that of a backup, or of all backups of a group or of the subscription.
func (c client) path(group, name, action string) string {
	path := "/subscriptions/" + url.PathEscape(c.subscription)
	if group != "" {
		path += "/resourceGroups/" + url.PathEscape(group)
	}
	path += "/providers/Berth.ContainerService/backups"
	if name != "" {
		path += "/" + url.PathEscape(name)
	}
	if action != "" {
		path += "/" + action
	}
	return path
}

// clusterID is the id of a managed cluster.
func (c client) clusterID(group, name string) string {
	return "/subscriptions/" + c.subscription + "/resourceGroups/" + group + "/providers/Microsoft.ContainerService/managedClusters/" + name
}

// request makes a request for a path.
func (c client) request(ctx context.Context, method, path string) (*policy.Request, error) {
	request, err := runtime.NewRequest(ctx, method, runtime.JoinPaths(c.arm.Endpoint(), path))
	if err != nil {
		return nil, err
	}
	query := request.Raw().URL.Query()
	if !query.Has("api-version") {
		query.Set("api-version", apiVersion)
		request.Raw().URL.RawQuery = query.Encode()
	}
	return request, nil
}

// do sends a request and answers with what was expected, or an error.
func (c client) do(request *policy.Request) (*http.Response, error) {
	response, err := c.arm.Pipeline().Do(request)
	if err != nil {
		return nil, err
	}
	if !runtime.HasStatusCode(response, http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent) {
		return nil, runtime.NewResponseError(response)
	}
	return response, nil
}

// call sends a body and decodes the answer, where there are any.
func (c client) call(ctx context.Context, method, path string, body, into any) (*http.Response, error) {
	request, err := c.request(ctx, method, path)
	if err != nil {
		return nil, err
	}
	if body != nil {
		if err := runtime.MarshalAsJSON(request, body); err != nil {
			return nil, err
		}
	}
	response, err := c.do(request)
	if err != nil || into == nil {
		return response, err
	}
	return response, runtime.UnmarshalAsJSON(response, into)
}

func (c client) get(ctx context.Context, t target) (backup, error) {
	var found backup
	_, err := c.call(ctx, http.MethodGet, c.path(t.group, t.name, ""), nil, &found)
	return found, err
}

// list is all backups of a group, or of the subscription.
func (c client) list(ctx context.Context, group string) ([]backup, error) {
	all := []backup{}
	for path := c.path(group, "", ""); path != ""; {
		var page struct {
			Value    []backup `json:"value"`
			NextLink string   `json:"nextLink"`
		}
		if _, err := c.call(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Value...)
		next, err := url.Parse(page.NextLink)
		if err != nil {
			return nil, err
		}
		path = next.RequestURI()
		if page.NextLink == "" {
			path = ""
		}
	}
	return all, nil
}

// await waits until a backup is there and checked, and shows how it goes.
func (c client) await(ctx context.Context, s *session.Session, t target, what string) (backup, error) {
	var out io.Writer = s.Err
	if s.Quiet() {
		out = io.Discard
	}
	line := progress.New(out, s.Width, s.Clock, what)
	for {
		found, err := c.get(ctx, t)
		if ctx.Err() != nil {
			line.Clear()
			return found, &failure.Interrupted{What: what, Look: t.look()}
		}
		if err != nil {
			line.Done("Failed")
			return found, err
		}
		switch found.text("provisioningState") {
		case "Succeeded":
			line.Done("Succeeded")
			return found, nil
		case "Failed":
			line.Done("Failed")
			reason, _ := found.Properties["error"].(map[string]any)
			return found, fmt.Errorf("the backup failed: %v (%v)", reason["message"], reason["code"])
		}
		line.Report(found.text("phase"), found.text("message"))
		select {
		case <-ctx.Done():
		case <-s.Clock.After(pollInterval):
		}
	}
}
