package containerservice

import (
	"errors"
	"net/http"
	"strings"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/managedidentity"
	"berth.dev/berth/internal/rp/resources"
)

// The types of a cluster's own identity.
const (
	systemAssigned = "SystemAssigned"
	userAssigned   = "UserAssigned"
)

// ownIdentityRequest is the identity block of a body: who the cluster acts as.
type ownIdentityRequest struct {
	Type                   string         `json:"type"`
	UserAssignedIdentities map[string]any `json:"userAssignedIdentities"`
}

// identityBody is a cluster's identity on the wire.
func (p *Provider) identityBody(c *containerservicev1alpha1.ManagedCluster) object {
	if c.Spec.IdentityType != userAssigned {
		return object{"type": c.Spec.IdentityType, "principalId": c.Spec.IdentityPrincipalID, "tenantId": p.TenantID}
	}
	return object{"type": userAssigned, "userAssignedIdentities": object{
		c.Spec.UserAssignedIdentityID: object{"principalId": c.Spec.UserAssignedPrincipalID, "clientId": c.Spec.UserAssignedClientID},
	}}
}

// admitIdentity decides who the cluster acts as. Its type is chosen once; one
// user-assigned identity can take the place of another.
func (p *Provider) admitIdentity(r *arm.Request, d *draft, sent ownIdentityRequest) error {
	path := d.body.Path("identity.type")
	switch {
	case sent.Type == "" && len(sent.UserAssignedIdentities) == 0:
		return nil
	case strings.EqualFold(sent.Type, userAssigned):
	case !strings.EqualFold(sent.Type, systemAssigned):
		d.fields.Add(arm.CodeNotSupported, path, "The identity type '%.60s' is not supported. Supported: %s, %s.", sent.Type, systemAssigned, userAssigned)
		return nil
	}
	if d.old != nil && !strings.EqualFold(d.old.Spec.IdentityType, sent.Type) {
		d.fields.Add(arm.CodeChangeNotAllowed, path, "The type of a cluster's identity cannot be changed from %s to %s yet: make a new cluster.", d.old.Spec.IdentityType, sent.Type)
		return nil
	}
	if strings.EqualFold(sent.Type, systemAssigned) {
		return nil
	}
	return p.admitUserAssigned(r, d, sent)
}

// admitUserAssigned gives the cluster the identity that a body names. Whoever
// gives it has to be allowed to: the cluster can act with all of its rights.
func (p *Provider) admitUserAssigned(r *arm.Request, d *draft, sent ownIdentityRequest) error {
	path := d.body.Path("identity.userAssignedIdentities")
	if len(sent.UserAssignedIdentities) != 1 {
		return nil // which package validation refuses
	}
	var name string
	for name = range sent.UserAssignedIdentities { // there is one
	}
	id, err := arm.ParseResourceID(name)
	if err != nil || !strings.EqualFold(id.Type(), managedidentity.Namespace+"/"+managedidentity.Type) || !strings.EqualFold(id.SubscriptionID, r.Param("subscriptionID")) {
		d.fields.Invalid(path, "'%.300s' is not the id of a user-assigned identity of this subscription.", name)
		return nil
	}
	d.next.Spec.IdentityType = userAssigned
	if d.old != nil && strings.EqualFold(d.old.Spec.UserAssignedIdentityID, name) {
		return nil
	}
	access, err := p.Tokens.Access(r.Context(), r.Principal)
	if err != nil {
		return err
	}
	const action = managedidentity.Namespace + "/" + managedidentity.Type + "/assign/action"
	if err := access.Check(action, id.String()); err != nil {
		var refused *arm.Error
		if errors.As(err, &refused) {
			return arm.NewError(http.StatusForbidden, "LinkedAuthorizationFailed", "%s", refused.Message)
		}
		return err
	}
	identity, err := managedidentity.Find(r.Context(), p.Client, id)
	if err != nil {
		return err
	}
	if identity == nil || identity.DeletionTimestamp != nil {
		d.fields.Invalid(path, "The user-assigned identity '%.300s' was not found.", name)
		return nil
	}
	if _, err := resources.WritableGroup(r.Context(), p.Client, id.SubscriptionID, id.ResourceGroup); err != nil {
		return err // the identity goes with its group
	}
	spec := &d.next.Spec
	spec.UserAssignedIdentityID, spec.UserAssignedPrincipalID, spec.UserAssignedClientID = name, identity.Spec.PrincipalID, identity.Spec.ClientID
	return nil
}
