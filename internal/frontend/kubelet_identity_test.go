package frontend_test

import (
	"net/http"
	"strings"
	"testing"

	"berth.dev/berth/internal/identity"
)

const (
	identityOperator = "f1a07417-d97a-45cb-824c-7a7467783830" // Managed Identity Operator
	nodesPath        = groupPath + identitiesIn + "Nodes"
)

// withNodes is a cluster that acts as an identity and whose nodes have another.
func withNodes(nodes string) string {
	return strings.Replace(acting(identityPath), `"storageProfile":{}`, `"identityProfile":{"kubeletidentity":{"resourceId":"`+nodes+`"}}`, 1)
}

// kubelet is the nodes' identity in an answer.
func kubelet(a answer) map[string]any {
	properties, _ := a.body["properties"].(map[string]any)
	profile, _ := properties["identityProfile"].(map[string]any)
	nodes, _ := profile["kubeletidentity"].(map[string]any)
	return nodes
}

func TestTheNodesHaveAnIdentityOfOnesOwnThatTheClusterMayAssign(t *testing.T) {
	r := newRig(t)
	r.group()
	cluster, _ := r.identity("Workload")
	principal, client := r.identity("Nodes")
	check(t, r.call("PUT", clusterPath, withNodes(nodesPath)), want{400, "InvalidParameter", "properties.identityProfile", "Managed Identity Operator"})
	if a := r.assign(nodesPath, assignmentName, cluster, identityOperator); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	made := r.call("PUT", clusterPath, withNodes(nodesPath))
	if nodes := kubelet(made); made.status != http.StatusCreated || nodes["objectId"] != principal || nodes["clientId"] != client || nodes["resourceId"] != nodesPath {
		t.Fatalf("%d %s", made.status, made.raw)
	}
	r.finish()
	check(t, r.call("DELETE", nodesPath+identityVersion, ""), want{409, "OperationNotAllowed", "", "in use by the managed cluster 'demo'"})
	if using := r.call("POST", nodesPath+"/listAssociatedResources?api-version=2022-01-31-preview", ""); using.body["totalCount"] != 1.0 {
		t.Errorf("what uses it: %s", using.raw)
	}
	for name, body := range map[string]string{"what was read": r.call("GET", clusterPath, "").raw, "a body without it": acting(identityPath)} {
		if a := r.call("PUT", clusterPath, body); a.status != http.StatusOK || kubelet(a)["objectId"] != principal {
			t.Errorf("sending %s: %d %s", name, a.status, a.raw)
		}
		r.finish()
	}
	check(t, r.call("PUT", clusterPath, azCluster), want{400, "InvalidParameter", "identity.type", "user-assigned identity"})
	own := ownKubelet(t, r)
	back := r.call("PUT", clusterPath, withNodes(own))
	if back.status != http.StatusOK || kubelet(back)["objectId"] == principal || kubelet(back)["resourceId"] != own {
		t.Errorf("the cluster's own again: %d %s", back.status, back.raw)
	}
	if a := r.call("DELETE", nodesPath+identityVersion, ""); a.status != http.StatusOK {
		t.Errorf("deleting the identity that is free again: %d %s", a.status, a.raw)
	}
}

// ownKubelet is the id of the identity that the cluster has for its nodes.
func ownKubelet(t *testing.T, r *rig) string {
	t.Helper()
	c := r.cluster()
	return "/subscriptions/" + c.Spec.SubscriptionID + "/resourceGroups/" + c.Spec.NodeResourceGroup + identitiesIn + c.Spec.Name + "-agentpool"
}

func TestAnIdentityThatTheNodesCannotHaveIsRefused(t *testing.T) {
	r := newRig(t)
	r.group()
	cluster, _ := r.identity("Workload")
	r.identity("Nodes")
	if a := r.assign(groupPath, assignmentName, cluster, identityOperator); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	profile := func(block string) string {
		return strings.Replace(acting(identityPath), `"storageProfile":{}`, `"identityProfile":`+block, 1)
	}
	r.writes = 0
	for name, body := range map[string]string{
		"in a cluster with its own identity": strings.Replace(azCluster, `"storageProfile":{}`, `"identityProfile":{"kubeletidentity":{"resourceId":"`+nodesPath+`"}}`, 1),
		"one that is not there":              withNodes(nodesPath + "2"),
		"an id of something else":            withNodes(clusterPath),
		"no id":                              profile(`{"kubeletidentity":{"clientId":"y"}}`),
		"ids of another":                     profile(`{"kubeletidentity":{"resourceId":"` + nodesPath + `","objectId":"77777777-7777-4777-8777-777777777777"}}`),
		"an unknown entry":                   profile(`{"other":{"resourceId":"` + nodesPath + `"}}`),
	} {
		check(t, r.call("PUT", clusterPath, body), want{400, "InvalidParameter", "properties.identityProfile", ""})
		if r.writes != 0 {
			t.Errorf("%s: %d objects were written", name, r.writes)
		}
	}
	if a := r.assign(groupPath, assignmentName[:35]+"4", readerObject, "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8"); a.status != http.StatusCreated { // AKS contributor
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if a := r.assign(identityPath, assignmentName[:35]+"5", readerObject, identityOperator); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	r.as(readerID, func() {
		check(t, r.call("PUT", clusterPath, withNodes(nodesPath)), want{403, "LinkedAuthorizationFailed", "", "userAssignedIdentities/Nodes"})
	})
	if a := r.call(http.MethodPut, clusterPath, profile(`{"kubeletidentity":null}`)); a.status != http.StatusCreated {
		t.Errorf("null: %d %s", a.status, a.raw)
	}
}

func TestRolesAreGivenToTheIdentityOfAClustersNodes(t *testing.T) {
	r := newRig(t)
	r.group()
	made := r.call("PUT", clusterPath, azCluster)
	if made.status != http.StatusCreated {
		t.Fatalf("%d %s", made.status, made.raw)
	}
	nodes := kubelet(made)["objectId"].(string)
	if a := r.assign(groupPath, assignmentName, nodes, identity.RoleReader); a.status != http.StatusCreated {
		t.Errorf("%d %s", a.status, a.raw)
	}
}
