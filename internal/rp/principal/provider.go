// Package principal is the resource provider Berth.Identity: the service
// principals of the tenant with their secrets and certificates, and the keys
// that sign tokens. Azure keeps these in its directory, beside ARM; here they
// are ARM resources of the tenant, so that the same roles guard them. It writes
// ServicePrincipal objects.
package principal

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
)

const (
	// Namespace is the name of the resource provider.
	Namespace = "Berth.Identity"
	// Version is its only api-version.
	Version = "2026-11-01"
	// maxCredentials is how many secrets, and how many certificates, a principal may have.
	maxCredentials = 20
)

// Provider answers the routes of Berth.Identity.
type Provider struct {
	// Client reaches the management API with live reads.
	Client client.Client
	// Tokens hashes secrets and has the signing keys.
	Tokens *identity.Service
	// Location is the only region.
	Location string
	// Now is the clock.
	Now func() time.Time
}

// Routes are what the provider answers.
func (p *Provider) Routes() []arm.Route {
	const (
		all    = "/providers/" + Namespace + "/servicePrincipals"
		one    = all + "/{appID}"
		action = Namespace + "/servicePrincipals/"
	)
	get, put, post, del := http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete
	routes := []arm.Route{
		{Method: get, Pattern: all, Action: action + "read", Handle: p.list},
		{Method: get, Pattern: one, Action: action + "read", Handle: p.get},
		{Method: put, Pattern: one, Action: action + "write", Handle: p.put},
		{Method: del, Pattern: one, Action: action + "delete", Handle: p.delete},
		{Method: post, Pattern: one + "/addPassword", Action: action + "addPassword/action", Handle: p.addPassword},
		{Method: post, Pattern: one + "/removePassword", Action: action + "removePassword/action", Handle: p.removePassword},
		{Method: post, Pattern: one + "/addKey", Action: action + "addKey/action", Handle: p.addKey},
		{Method: post, Pattern: one + "/removeKey", Action: action + "removeKey/action", Handle: p.removeKey},
		{Method: post, Pattern: "/providers/" + Namespace + "/rotateSigningKey", Action: Namespace + "/rotateSigningKey/action", Handle: p.rotateSigningKey},
	}
	for i := range routes {
		routes[i].Versions = &arm.VersionTable{ResourceType: "servicePrincipals", Location: p.Location, Versions: []string{Version}}
	}
	return routes
}

// ResourceTypes are the provider's resource types with their api-versions.
func (p *Provider) ResourceTypes() map[string][]string {
	return map[string][]string{"servicePrincipals": {Version}}
}

type object = map[string]any

// body is a service principal on the wire: of its secrets what names them.
func body(s *authorizationv1alpha1.ServicePrincipal) object {
	passwords, keys := []object{}, []object{}
	for _, c := range s.Spec.Passwords {
		passwords = append(passwords, object{"keyId": c.KeyID, "displayName": c.DisplayName, "hint": c.Hint,
			"startDateTime": moment(c.StartDateTime), "endDateTime": moment(c.EndDateTime)})
	}
	for i := range s.Spec.Keys {
		c := &s.Spec.Keys[i]
		keys = append(keys, object{"keyId": c.KeyID, "displayName": c.DisplayName, "certificate": c.Certificate,
			"startDateTime": moment(&c.StartDateTime), "endDateTime": moment(&c.EndDateTime)})
	}
	return object{
		"id": "/providers/" + Namespace + "/servicePrincipals/" + s.Name, "name": s.Name, "type": Namespace + "/servicePrincipals",
		"properties": object{"appId": s.Name, "objectId": s.Spec.ObjectID, "tenantId": s.Spec.TenantID, "displayName": s.Spec.DisplayName,
			"createdDateTime": moment(&s.CreationTimestamp), "passwordCredentials": passwords, "keyCredentials": keys},
	}
}

// moment is a time on the wire, null if there is none.
func moment(t *metav1.Time) any {
	if t == nil {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// find reads the principal of the path.
func (p *Provider) find(r *arm.Request) (*authorizationv1alpha1.ServicePrincipal, error) {
	id, err := uuid.Parse(r.Param("appID"))
	if err != nil || len(r.Param("appID")) != 36 {
		return nil, arm.NewError(http.StatusBadRequest, "InvalidAppId", "The name '%.100s' is not a GUID.", r.Param("appID")).At("appId")
	}
	var found authorizationv1alpha1.ServicePrincipal
	err = p.Client.Get(r.Context(), client.ObjectKey{Name: id.String()}, &found)
	if apierrors.IsNotFound(err) {
		return nil, arm.NewError(http.StatusNotFound, "ServicePrincipalNotFound", "The service principal '%s' was not found.", id)
	}
	return &found, err
}

func (p *Provider) get(w http.ResponseWriter, r *arm.Request) error {
	found, err := p.find(r)
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, body(found))
}

func (p *Provider) list(w http.ResponseWriter, r *arm.Request) error {
	var list authorizationv1alpha1.ServicePrincipalList
	if err := p.Client.List(r.Context(), &list); err != nil {
		return err
	}
	page, err := arm.Page(r, list.Items, func(s authorizationv1alpha1.ServicePrincipal) string { return s.Name })
	if err != nil {
		return err
	}
	bodies := make([]object, 0, len(page.Value))
	for i := range page.Value {
		bodies = append(bodies, body(&page.Value[i]))
	}
	return arm.WriteJSON(w, http.StatusOK, arm.List[object]{Value: bodies, NextLink: page.NextLink})
}

// change reads the principal of the path, changes and writes it; it repeats
// that if others write at the same time, so that no credential of theirs is lost.
func (p *Provider) change(r *arm.Request, change func(*authorizationv1alpha1.ServicePrincipal) error) (*authorizationv1alpha1.ServicePrincipal, error) {
	for range 5 {
		found, err := p.find(r)
		if err != nil {
			return nil, err
		}
		if err := change(found); err != nil {
			return nil, err
		}
		if err = p.Client.Update(r.Context(), found); !apierrors.IsConflict(err) {
			return found, err
		}
	}
	return nil, arm.NewError(http.StatusConflict, "Conflict", "The service principal was changed by others at the same time. Repeat the request.")
}

// dropAssignments takes all roles away from a principal that is no more.
func (p *Provider) dropAssignments(ctx context.Context, objectID string) error {
	defer p.Tokens.ForgetAccess()
	var list authorizationv1alpha1.RoleAssignmentList
	if err := p.Client.List(ctx, &list); err != nil {
		return err
	}
	for i := range list.Items {
		if list.Items[i].Spec.PrincipalID != objectID {
			continue
		}
		if err := client.IgnoreNotFound(p.Client.Delete(ctx, &list.Items[i])); err != nil {
			return err
		}
	}
	return nil
}
