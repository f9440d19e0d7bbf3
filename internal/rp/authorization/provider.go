// Package authorization is the resource provider Microsoft.Authorization: roles
// and their assignments at subscriptions, resource groups and resources. It
// writes RoleDefinition and RoleAssignment objects; what they allow, package
// identity decides.
package authorization

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
)

// Namespace is the name of the resource provider.
const Namespace = "Microsoft.Authorization"

// Provider answers the routes of Microsoft.Authorization.
type Provider struct {
	// Client reaches the management API with live reads.
	Client client.Client
	// Tokens evaluates roles.
	Tokens *identity.Service
	// TenantID is the only tenant, Location the only region.
	TenantID, Location string
	// Exists is nil if a resource group or a resource is there, and ARM's answer otherwise.
	Exists func(ctx context.Context, id arm.ResourceID) error
	// Now is the clock.
	Now func() time.Time
}

// scope is what the request's path names before /providers/Microsoft.Authorization.
func scope(r *arm.Request) string {
	pattern := r.Route.Pattern
	end := strings.LastIndex(pattern, "/providers/"+Namespace)
	result := pattern[:end]
	for name, value := range r.Params {
		result = strings.ReplaceAll(result, "{"+name+"}", value)
	}
	if result == "" {
		return "/"
	}
	return result
}

// below is the id of what lies under a scope.
func below(scope, kind, name string) string {
	return strings.TrimRight(scope, "/") + "/providers/" + Namespace + "/" + kind + "/" + name
}

// guid reads the GUID at the end of a path.
func guid(r *arm.Request, parameter string) (string, error) {
	value := r.Param(parameter)
	parsed, err := uuid.Parse(value)
	if err != nil || len(value) != 36 {
		return "", arm.NewError(http.StatusBadRequest, "InvalidRoleDefinitionOrAssignmentId",
			"The name '%.100s' is not a GUID.", value).At(parameter)
	}
	return parsed.String(), nil
}

// checkScope looks whether what a scope names is there.
func (p *Provider) checkScope(ctx context.Context, scope string) error {
	if scope == "/" {
		return nil
	}
	id, err := arm.ParseResourceID(scope)
	if err != nil {
		return arm.NewError(http.StatusBadRequest, "InvalidScope", "The scope '%.300s' is not valid.", scope)
	}
	if id.ResourceGroup == "" && id.Provider == "" {
		return nil // the front end has looked for the subscription
	}
	return p.Exists(ctx, id)
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }
