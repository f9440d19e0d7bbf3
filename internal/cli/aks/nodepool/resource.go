package nodepool

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

// apiVersion is newer than the SDK's, which lacks maxUnavailable and the
// behavior of nodes that do not drain, and would take them from a pool that it
// sends back.
const apiVersion = "2025-05-01"

// resource is a node pool on the wire, with whatever the service says of it.
type resource map[string]any

// section is an object of the pool's properties, made if it is not there.
func (r resource) section(name string) map[string]any {
	properties, _ := r["properties"].(map[string]any)
	if properties == nil {
		properties = map[string]any{}
		r["properties"] = properties
	}
	if name == "" {
		return properties
	}
	below, _ := properties[name].(map[string]any)
	if below == nil {
		below = map[string]any{}
		properties[name] = below
	}
	return below
}

// client sends requests on one node pool.
type client struct {
	arm  *arm.Client
	path string
}

func open(s *session.Session, t target) (client, error) {
	subscription, err := s.SubscriptionID()
	if err != nil {
		return client{}, err
	}
	c, err := s.ARM()
	return client{arm: c, path: runtime.JoinPaths("/subscriptions", url.PathEscape(subscription), "resourceGroups", url.PathEscape(t.group),
		"providers/Microsoft.ContainerService/managedClusters", url.PathEscape(t.cluster), "agentPools", url.PathEscape(t.name))}, err
}

// call is a request on a pool, or on an action of it.
type call struct {
	method, action string
	query          url.Values
	// body is sent as JSON unless it is nil.
	body any
	// etag makes it a request that only succeeds if nobody has changed the pool since.
	etag string
}

func (c client) send(ctx context.Context, what call) (*http.Response, error) {
	request, err := runtime.NewRequest(ctx, what.method, runtime.JoinPaths(c.arm.Endpoint(), c.path, what.action))
	if err != nil {
		return nil, err
	}
	query := what.query
	if query == nil {
		query = url.Values{}
	}
	query.Set("api-version", apiVersion)
	request.Raw().URL.RawQuery = query.Encode()
	if what.etag != "" {
		request.Raw().Header.Set("If-Match", what.etag)
	}
	if what.body != nil {
		if err := runtime.MarshalAsJSON(request, what.body); err != nil {
			return nil, err
		}
	}
	response, err := c.arm.Pipeline().Do(request)
	if err != nil {
		return nil, err
	}
	if !runtime.HasStatusCode(response, http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent) {
		return nil, runtime.NewResponseError(response)
	}
	return response, nil
}

// change is a change of a node pool.
type change struct {
	target
	// what is told while it goes on.
	what          string
	ignoreBudgets bool
	// queue waits for what is in the way; then the request says nothing but what
	// changes, since the rest may be another by then.
	queue  bool
	noWait bool
	edit   func(pool resource) error
}

// apply sends back the pool that it read with a change, as az does, but only if
// nobody has changed it meanwhile, and waits.
func (c change) apply(ctx context.Context, s *session.Session) error {
	pool, err := open(s, c.target)
	if err != nil {
		return err
	}
	if c.queue {
		return c.applyLater(ctx, s, pool)
	}
	var response *http.Response
	err = operation.RetryChanged(func() error {
		found, err := pool.send(ctx, call{method: http.MethodGet})
		if err != nil {
			return err
		}
		body := resource{}
		if err := runtime.UnmarshalAsJSON(found, &body); err != nil {
			return err
		}
		if _, there := body["properties"]; !there {
			return errors.New("the service's answer holds no node pool")
		}
		etag, _ := body.section("")["eTag"].(string)
		if err := c.edit(body); err != nil {
			return err
		}
		response, err = pool.send(ctx, call{method: http.MethodPut, query: c.query(), body: body, etag: etag})
		return err
	})
	if err != nil || c.noWait {
		return err
	}
	return c.finish(ctx, s, pool, response)
}

// applyLater sends the change alone, to be made when nothing is in its way.
func (c change) applyLater(ctx context.Context, s *session.Session, pool client) error {
	if _, err := pool.send(ctx, call{method: http.MethodGet}); err != nil { // a pool that is not there would be made
		return err
	}
	body := resource{}
	if err := c.edit(body); err != nil {
		return err
	}
	response, err := pool.send(queueing(ctx, true), call{method: http.MethodPut, query: c.query(), body: body})
	if err != nil || c.noWait {
		return err
	}
	return c.finish(ctx, s, pool, response)
}

// finish waits for what a response began, and prints the pool.
func (c change) finish(ctx context.Context, s *session.Session, pool client, response *http.Response) error {
	if err := c.wait(ctx, s, pool, response); err != nil {
		return err
	}
	found, err := pool.send(ctx, call{method: http.MethodGet})
	if err != nil {
		return err
	}
	body := resource{}
	if err := runtime.UnmarshalAsJSON(found, &body); err != nil {
		return err
	}
	return s.PrintResource(body, columns())
}

func (c change) wait(ctx context.Context, s *session.Session, pool client, response *http.Response) error {
	if response.StatusCode != http.StatusAccepted && response.Header.Get("Azure-AsyncOperation") == "" {
		return nil // there was nothing to do
	}
	poller, err := runtime.NewPoller[resource](response, pool.arm.Pipeline(), nil)
	if err != nil {
		return err
	}
	_, err = operation.Wait(ctx, s, poller, operation.Words{What: c.what, Look: c.look()})
	return err
}

// query says that pods are deleted which a PodDisruptionBudget protects.
func (c change) query() url.Values {
	if !c.ignoreBudgets {
		return nil
	}
	return url.Values{"ignore-pod-disruption-budget": {"true"}}
}
