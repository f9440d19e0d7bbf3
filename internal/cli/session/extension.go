package session

import (
	"context"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// Extension is a client of what the service has beyond the public one, for which
// the SDK has no client: the provider Berth.ContainerService.
type Extension struct {
	client       *arm.Client
	subscription string
}

// extensionVersion is the api-version of the provider.
const extensionVersion = "2026-11-01"

// Extension is a client of Berth.ContainerService.
func (s *Session) Extension() (*Extension, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	client, err := arm.NewClient("berth", "v1.0.0", c.credential, c.options)
	if err != nil {
		return nil, err
	}
	return &Extension{client: client, subscription: c.cloud.SubscriptionID}, nil
}

// Cluster is the path of something about a cluster below the subscription.
func (*Extension) Cluster(group, cluster, what string) string {
	return runtime.JoinPaths("resourceGroups", url.PathEscape(group), "providers/Berth.ContainerService/managedClusters", url.PathEscape(cluster), what)
}

// Do sends a request for a path below the subscription. body is sent as JSON
// unless it is nil.
func (e *Extension) Do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	request, err := runtime.NewRequest(ctx, method, runtime.JoinPaths(e.client.Endpoint(), "subscriptions", e.subscription, path))
	if err != nil {
		return nil, err
	}
	request.Raw().URL.RawQuery = url.Values{"api-version": {extensionVersion}}.Encode()
	if body != nil {
		if err := runtime.MarshalAsJSON(request, body); err != nil {
			return nil, err
		}
	}
	response, err := e.client.Pipeline().Do(request)
	if err != nil {
		return nil, err
	}
	if !runtime.HasStatusCode(response, http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent) {
		return nil, runtime.NewResponseError(response)
	}
	return response, nil
}

// Poller polls the operation that a response started.
func (e *Extension) Poller(response *http.Response) (*runtime.Poller[struct{}], error) {
	return runtime.NewPoller[struct{}](response, e.pipeline(), nil)
}

func (e *Extension) pipeline() runtime.Pipeline { return e.client.Pipeline() }
