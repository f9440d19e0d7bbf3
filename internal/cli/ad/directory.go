package ad

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/session"
)

const (
	principalsPath = "/providers/Berth.Identity/servicePrincipals"
	apiVersion     = "2026-11-01"
)

// principal is a service principal as az prints one.
type principal struct {
	ID                  string       `json:"id"`
	AppID               string       `json:"appId"`
	DisplayName         string       `json:"displayName"`
	TenantID            string       `json:"appOwnerOrganizationId"`
	CreatedDateTime     *time.Time   `json:"createdDateTime"`
	PasswordCredentials []credential `json:"passwordCredentials"`
	KeyCredentials      []credential `json:"keyCredentials"`
}

// credential is a secret without the secret, or a certificate.
type credential struct {
	KeyID         string     `json:"keyId"`
	DisplayName   string     `json:"displayName"`
	Hint          string     `json:"hint,omitempty"`
	StartDateTime *time.Time `json:"startDateTime"`
	EndDateTime   *time.Time `json:"endDateTime"`
}

// resource is a service principal on the wire.
type resource struct {
	Properties struct {
		principal
		ObjectID string `json:"objectId"`
		TenantID string `json:"tenantId"`
	} `json:"properties"`
}

func (r resource) principal() principal {
	p := r.Properties.principal
	p.ID, p.TenantID = r.Properties.ObjectID, r.Properties.TenantID
	return p
}

// directory calls the routes of service principals.
type directory struct{ client *arm.Client }

func open(s *session.Session) (directory, error) {
	client, err := s.ARM()
	return directory{client: client}, err
}

// call sends a request and decodes the answer, if anything is expected.
func (d directory) call(ctx context.Context, method, path string, body, into any) error {
	request, err := runtime.NewRequest(ctx, method, runtime.JoinPaths(d.client.Endpoint(), path))
	if err != nil {
		return err
	}
	query := request.Raw().URL.Query()
	if !query.Has("api-version") {
		query.Set("api-version", apiVersion)
		request.Raw().URL.RawQuery = query.Encode()
	}
	if body != nil {
		if err := runtime.MarshalAsJSON(request, body); err != nil {
			return err
		}
	}
	response, err := d.client.Pipeline().Do(request)
	if err != nil {
		return err
	}
	if !runtime.HasStatusCode(response, http.StatusOK, http.StatusCreated, http.StatusNoContent) {
		return runtime.NewResponseError(response)
	}
	if into == nil {
		return nil
	}
	return runtime.UnmarshalAsJSON(response, into)
}

// list is all service principals.
func (d directory) list(ctx context.Context) ([]principal, error) {
	all := []principal{}
	for path := principalsPath; path != ""; {
		var page struct {
			Value    []resource `json:"value"`
			NextLink string     `json:"nextLink"`
		}
		if err := d.call(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		for _, one := range page.Value {
			all = append(all, one.principal())
		}
		next, err := url.Parse(page.NextLink)
		if err != nil {
			return nil, err
		}
		if path = ""; page.NextLink != "" {
			path = next.Path + "?" + next.RawQuery
		}
	}
	return all, nil
}

// find is the service principal of an app id or an object id.
func (d directory) find(ctx context.Context, id string) (principal, error) {
	all, err := d.list(ctx)
	if err != nil {
		return principal{}, err
	}
	for _, one := range all {
		if strings.EqualFold(one.AppID, id) || strings.EqualFold(one.ID, id) {
			return one, nil
		}
	}
	return principal{}, failure.NotFound("there is no service principal with the app id or object id '%s'; 'berth ad sp list' shows those that are", id)
}

// put makes a service principal, or renames one.
func (d directory) put(ctx context.Context, appID, displayName string) (principal, error) {
	var made resource
	body := map[string]any{"properties": map[string]any{"displayName": displayName}}
	err := d.call(ctx, http.MethodPut, principalsPath+"/"+appID, body, &made)
	return made.principal(), err
}

// addPassword makes a secret. Nothing shows it a second time.
func (d directory) addPassword(ctx context.Context, appID, displayName string, end time.Time) (secret string, err error) {
	var made struct {
		SecretText string `json:"secretText"`
	}
	body := map[string]any{"displayName": displayName, "endDateTime": end.UTC().Format(time.RFC3339)}
	err = d.call(ctx, http.MethodPost, principalsPath+"/"+appID+"/addPassword", body, &made)
	return made.SecretText, err
}

// remove takes away a secret or a certificate.
func (d directory) remove(ctx context.Context, appID, keyID string, certificate bool) error {
	action := "/removePassword"
	if certificate {
		action = "/removeKey"
	}
	return d.call(ctx, http.MethodPost, principalsPath+"/"+appID+action, map[string]any{"keyId": keyID}, nil)
}
