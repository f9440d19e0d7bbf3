package containerservice

import (
	"strings"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/managedidentity"
)

// kubeletIdentityKey is the only entry of a cluster's identity profile.
const kubeletIdentityKey = "kubeletidentity"

// identityRequest is an entry of an identity profile in a body.
type identityRequest struct {
	ResourceID string `json:"resourceId"`
	ClientID   string `json:"clientId"`
	ObjectID   string `json:"objectId"`
}

// kubeletIdentity names the identity of a cluster's nodes, which clients look
// for before they change a cluster: the one that a caller chose, or else one of
// the cluster's own. Nothing issues tokens to either yet.
func kubeletIdentity(c *containerservicev1alpha1.ManagedCluster) identityRequest {
	if chosen := c.Spec.KubeletIdentity; chosen != nil {
		return identityRequest{ResourceID: chosen.ID, ClientID: chosen.ClientID, ObjectID: chosen.PrincipalID}
	}
	return ownKubeletIdentity(c)
}

// ownKubeletIdentity is the one that a cluster has for itself. Its ids follow
// from the cluster's incarnation, so they are the same in every answer.
func ownKubeletIdentity(c *containerservicev1alpha1.ManagedCluster) identityRequest {
	clientID, objectID := naming.KubeletIdentity(c.Spec.Incarnation)
	id := managedidentity.ID(c.Spec.SubscriptionID, c.Spec.NodeResourceGroup, c.Spec.Name+"-agentpool")
	return identityRequest{ResourceID: id.String(), ClientID: clientID, ObjectID: objectID}
}

// admitKubeletIdentity decides which identity the nodes have. One that is given
// to them has to be there, and both the caller and the cluster, as whose
// identity it is then assigned, have to be allowed to assign it.
func (p *Provider) admitKubeletIdentity(r *arm.Request, d *draft, profile map[string]*identityRequest) error {
	path := d.body.Path("properties.identityProfile")
	for key := range profile {
		if key != kubeletIdentityKey {
			d.fields.Invalid(path, "The identity profile has the entry '%.60s'; only %s is known.", key, kubeletIdentityKey)
			return nil
		}
	}
	spec := &d.next.Spec
	sent := profile[kubeletIdentityKey]
	switch {
	case sent == nil || *sent == (identityRequest{}):
		if spec.KubeletIdentity != nil && spec.IdentityType != userAssigned {
			d.fields.Invalid(d.body.Path("identity.type"), "Nodes with an identity of one's own need a cluster with a user-assigned identity: give the nodes the cluster's own identity first.")
		}
		return nil
	case d.old != nil && sent.names(ownKubeletIdentity(d.old)):
		spec.KubeletIdentity = nil
		return nil
	case d.old != nil && d.old.Spec.KubeletIdentity != nil && spec.IdentityType == userAssigned && sent.names(kubeletIdentity(d.old)):
		return nil
	case spec.IdentityType != userAssigned:
		d.fields.Invalid(path, "Nodes are given an identity of one's own only in a cluster with a user-assigned identity.")
		return nil
	}
	identity, err := p.assignable(r, d, sent.ResourceID, path)
	if err != nil || identity == nil {
		return err
	}
	chosen := containerservicev1alpha1.KubeletIdentity{ID: sent.ResourceID, PrincipalID: identity.Spec.PrincipalID, ClientID: identity.Spec.ClientID}
	if !sent.names(identityRequest{ResourceID: chosen.ID, ClientID: chosen.ClientID, ObjectID: chosen.PrincipalID}) {
		d.fields.Invalid(path, "The clientId and objectId in the body are not those of the identity '%.300s'. Leave them out.", sent.ResourceID)
		return nil
	}
	cluster, err := p.Tokens.Access(r.Context(), arm.Principal{ObjectID: spec.UserAssignedPrincipalID})
	if err != nil {
		return err
	}
	if !cluster.Allows(assignAction, sent.ResourceID) {
		d.fields.Invalid(path, "The cluster's identity '%s' may not assign the identity '%.300s'. Give it the role Managed Identity Operator on that identity first.",
			spec.UserAssignedIdentityID, sent.ResourceID)
		return nil
	}
	spec.KubeletIdentity = &chosen
	return nil
}

// names says whether what was sent names an identity: what it leaves out does not count.
func (i identityRequest) names(identity identityRequest) bool {
	same := func(sent, is string) bool { return sent == "" || strings.EqualFold(sent, is) }
	return same(i.ResourceID, identity.ResourceID) && same(i.ClientID, identity.ClientID) && same(i.ObjectID, identity.ObjectID)
}
