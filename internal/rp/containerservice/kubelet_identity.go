package containerservice

import (
	"strings"

	"github.com/google/uuid"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
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
// for before they change a cluster. Its ids follow from the cluster's own, so
// they are the same in every answer; nothing issues tokens to it yet.
func kubeletIdentity(c *containerservicev1alpha1.ManagedCluster) identityRequest {
	own, err := uuid.Parse(c.Spec.IdentityPrincipalID)
	if err != nil { // a cluster without an identity of its own
		own = uuid.NewSHA1(uuid.NameSpaceURL, []byte(c.Spec.Incarnation))
	}
	node := arm.ResourceID{
		SubscriptionID: c.Spec.SubscriptionID, ResourceGroup: c.Spec.NodeResourceGroup, Provider: "Microsoft.ManagedIdentity",
		Types: []string{"userAssignedIdentities"}, Names: []string{c.Spec.Name + "-agentpool"},
	}
	return identityRequest{
		ResourceID: node.String(),
		ClientID:   uuid.NewSHA1(own, []byte(kubeletIdentityKey+"/client")).String(),
		ObjectID:   uuid.NewSHA1(own, []byte(kubeletIdentityKey+"/object")).String(),
	}
}

// validateIdentityProfile accepts what the cluster has and says so, and refuses
// identities of one's own.
func validateIdentityProfile(d *draft, profile map[string]*identityRequest) {
	var own identityRequest
	if d.old != nil {
		own = kubeletIdentity(d.old)
	}
	same := func(sent, is string) bool { return sent == "" || strings.EqualFold(sent, is) }
	for key, sent := range profile {
		if sent == nil {
			continue
		}
		if key != kubeletIdentityKey || !same(sent.ResourceID, own.ResourceID) || !same(sent.ClientID, own.ClientID) || !same(sent.ObjectID, own.ObjectID) {
			path := d.body.Path("properties.identityProfile")
			d.fields.Add(arm.CodeNotSupported, path, "The property '%s' is not supported: identities of one's own are not built.", path)
			return
		}
	}
}
