package containerservice

import (
	"errors"
	"net/http"
	"strings"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	managedidentityv1alpha1 "berth.dev/berth/api/managedidentity/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/managedidentity"
	"berth.dev/berth/internal/rp/resources"
)

// The types of a cluster's own identity.
const (
	systemAssigned = "SystemAssigned"
	userAssigned   = "UserAssigned"
)

// assignAction is what whoever gives an identity to a cluster has to be allowed to.
const assignAction = managedidentity.Namespace + "/" + managedidentity.Type + "/assign/action"

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

// admitIdentity decides who the cluster acts as. A system-assigned identity
// that it gives up is gone: the cluster's controller takes its roles away, and
// a later one is another principal.
func (p *Provider) admitIdentity(r *arm.Request, d *draft, sent ownIdentityRequest) error {
	path := d.body.Path("identity.type")
	spec := &d.next.Spec
	switch {
	case sent.Type == "" && len(sent.UserAssignedIdentities) == 0:
	case strings.EqualFold(sent.Type, userAssigned):
		if spec.IdentityPrincipalID != "" {
			if len(spec.FormerPrincipals) >= maxFormerPrincipals {
				return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
					"The identity of the cluster was changed %d times while the roles of the former ones could not be taken away. Repeat the request in a minute.", maxFormerPrincipals)
			}
			spec.FormerPrincipals = append(spec.FormerPrincipals, spec.IdentityPrincipalID)
			spec.IdentityPrincipalID = ""
		}
		return p.admitUserAssigned(r, d, sent)
	case strings.EqualFold(sent.Type, systemAssigned):
		spec.IdentityType = systemAssigned
		spec.UserAssignedIdentityID, spec.UserAssignedPrincipalID, spec.UserAssignedClientID = "", "", ""
	default:
		d.fields.Add(arm.CodeNotSupported, path, "The identity type '%.60s' is not supported. Supported: %s, %s.", sent.Type, systemAssigned, userAssigned)
	}
	return nil
}

// maxFormerPrincipals is how many a cluster's controller may be behind.
const maxFormerPrincipals = 16

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
	spec := &d.next.Spec
	spec.IdentityType = userAssigned
	if d.old != nil && strings.EqualFold(d.old.Spec.UserAssignedIdentityID, name) {
		return nil
	}
	identity, err := p.assignable(r, d, name, path)
	if err != nil || identity == nil {
		return err
	}
	spec.UserAssignedIdentityID, spec.UserAssignedPrincipalID, spec.UserAssignedClientID = name, identity.Spec.PrincipalID, identity.Spec.ClientID
	return nil
}

// admitRestoredIdentities holds the identities of a backup's cluster to the
// same rules as those of a body: they may be gone since, or be others, and the
// caller may have a right to the backup and none to them.
func (p *Provider) admitRestoredIdentities(r *arm.Request, d *draft) error {
	d.fields = &arm.FieldErrors{}
	spec := &d.next.Spec
	if name := spec.UserAssignedIdentityID; name != "" {
		identity, err := p.assignable(r, d, name, "identity.userAssignedIdentities")
		if err != nil {
			return err
		}
		if identity != nil {
			spec.UserAssignedPrincipalID, spec.UserAssignedClientID = identity.Spec.PrincipalID, identity.Spec.ClientID
		}
	}
	if chosen := spec.KubeletIdentity; chosen != nil {
		identity, err := p.assignable(r, d, chosen.ID, "properties.identityProfile")
		if err != nil {
			return err
		}
		if identity != nil {
			spec.KubeletIdentity = &containerservicev1alpha1.KubeletIdentity{ID: chosen.ID, PrincipalID: identity.Spec.PrincipalID, ClientID: identity.Spec.ClientID}
		}
	}
	return d.fields.Err()
}

// assignable is the user-assigned identity of an id, if it is there and the
// caller may give it to the cluster; nil if a field error says why it is not.
func (p *Provider) assignable(r *arm.Request, d *draft, name, path string) (*managedidentityv1alpha1.UserAssignedIdentity, error) {
	id, err := arm.ParseResourceID(name)
	if err != nil || !strings.EqualFold(id.Type(), managedidentity.Namespace+"/"+managedidentity.Type) || !strings.EqualFold(id.SubscriptionID, r.Param("subscriptionID")) {
		d.fields.Invalid(path, "'%.300s' is not the id of a user-assigned identity of this subscription.", name)
		return nil, nil
	}
	access, err := p.Tokens.Access(r.Context(), r.Principal)
	if err != nil {
		return nil, err
	}
	if err := access.Check(assignAction, id.String()); err != nil {
		var refused *arm.Error
		if errors.As(err, &refused) {
			return nil, arm.NewError(http.StatusForbidden, "LinkedAuthorizationFailed", "%s", refused.Message)
		}
		return nil, err
	}
	identity, err := managedidentity.Find(r.Context(), p.Client, id)
	if err != nil {
		return nil, err
	}
	if identity == nil || identity.DeletionTimestamp != nil {
		d.fields.Invalid(path, "The user-assigned identity '%.300s' was not found.", name)
		return nil, nil
	}
	if _, err := resources.WritableGroup(r.Context(), p.Client, id.SubscriptionID, id.ResourceGroup); err != nil {
		return nil, err // the identity goes with its group
	}
	return identity, nil
}
