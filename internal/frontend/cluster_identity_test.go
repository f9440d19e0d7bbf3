package frontend_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"berth.dev/berth/internal/identity"
)

// acting is what az sends for a cluster that acts as an identity of one's own.
func acting(id string) string {
	return strings.Replace(azCluster, `{"type":"SystemAssigned"}`, `{"type":"UserAssigned","userAssignedIdentities":{"`+id+`":{}}}`, 1)
}

func TestAClusterActsAsAnIdentityOfOnesOwnWhichThenCannotBeDeleted(t *testing.T) {
	r := newRig(t)
	r.group()
	principal, client := r.identity("Workload")
	made := r.call("PUT", clusterPath, acting(identityPath))
	if made.status != http.StatusCreated {
		t.Fatalf("%d %s", made.status, made.raw)
	}
	block := made.body["identity"].(map[string]any)
	ids, _ := block["userAssignedIdentities"].(map[string]any)[identityPath].(map[string]any)
	if block["type"] != "UserAssigned" || block["principalId"] != nil || ids["principalId"] != principal || ids["clientId"] != client {
		t.Errorf("the cluster's identity is %v", block)
	}
	r.finish()
	check(t, r.call("DELETE", identityPath+identityVersion, ""), want{409, "OperationNotAllowed", "", "in use by the managed cluster 'demo' in the resource group 'rg'"})
	before := r.call("GET", clusterPath, "")
	if a := r.call("PUT", clusterPath, before.raw); a.status != http.StatusOK {
		t.Errorf("sending back what was read: %d %s", a.status, a.raw)
	}
	r.finish()
	other, _ := r.identity("Another")
	if a := r.call("PUT", clusterPath, acting(strings.Replace(identityPath, "Workload", "Another", 1))); a.status != http.StatusOK || !strings.Contains(a.raw, other) {
		t.Errorf("another identity in its place: %d %s", a.status, a.raw)
	}
	if a := r.call("DELETE", identityPath+identityVersion, ""); a.status != http.StatusOK {
		t.Errorf("deleting the one that is free again: %d %s", a.status, a.raw)
	}
}

func TestAClusterThatGivesUpItsOwnIdentityGetsAnotherOneLater(t *testing.T) {
	r := newRig(t)
	r.group()
	r.identity("Workload")
	made := r.call("PUT", clusterPath, azCluster)
	if made.status != http.StatusCreated {
		t.Fatalf("%d %s", made.status, made.raw)
	}
	first := made.body["identity"].(map[string]any)["principalId"].(string)
	r.finish()
	given := r.call("PUT", clusterPath, acting(identityPath))
	if given.status != http.StatusOK || given.body["identity"].(map[string]any)["type"] != "UserAssigned" || strings.Contains(given.raw, first) {
		t.Fatalf("an identity of one's own in its place: %d %s", given.status, given.raw)
	}
	if former := r.cluster().Spec.FormerPrincipals; len(former) != 1 || former[0] != first {
		t.Errorf("the controller is to take the roles of %v away, want %s", former, first)
	}
	check(t, r.assign(groupPath, assignmentName[:35]+"7", first, identity.RoleReader), want{400, "PrincipalNotFound", "", ""})
	r.finish()
	back := r.call("PUT", clusterPath, azCluster)
	if back.status != http.StatusOK {
		t.Fatalf("its own again: %d %s", back.status, back.raw)
	}
	second := back.body["identity"].(map[string]any)
	if second["type"] != "SystemAssigned" || second["principalId"] == first || len(second["principalId"].(string)) != 36 {
		t.Errorf("its own identity was %s and is %v", first, second)
	}
	if profile := func(a answer) any { return a.body["properties"].(map[string]any)["identityProfile"] }; !reflect.DeepEqual(profile(made), profile(back)) {
		t.Errorf("the nodes' identity was %v and is %v", profile(made), profile(back))
	}
	if a := r.call("DELETE", identityPath+identityVersion, ""); a.status != http.StatusOK {
		t.Errorf("deleting the identity that is free again: %d %s", a.status, a.raw)
	}
	r.finish()
	r.identity("Another")
	full := r.cluster()
	full.Spec.FormerPrincipals = nil
	for i := range 16 {
		full.Spec.FormerPrincipals = append(full.Spec.FormerPrincipals, fmt.Sprint(i))
	}
	if err := r.store.Update(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	check(t, r.call("PUT", clusterPath, acting(strings.Replace(identityPath, "Workload", "Another", 1))), want{409, "OperationNotAllowed", "", "Repeat"})
}

func TestOnlyWhoMayAssignAnIdentityGivesItToACluster(t *testing.T) {
	r := newRig(t)
	r.group()
	r.identity("Workload")
	for i, role := range []string{"ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8", identity.RoleReader} { // AKS contributor of the group
		if a := r.assign(groupPath, assignmentName[:35]+string(rune('4'+i)), readerObject, role); a.status != http.StatusCreated && a.status != http.StatusConflict {
			t.Fatalf("%d %s", a.status, a.raw)
		}
	}
	r.as(readerID, func() {
		check(t, r.call("PUT", clusterPath, acting(identityPath)), want{403, "LinkedAuthorizationFailed", "", "assign/action"})
	})
	if a := r.assign(identityPath, assignmentName[:35]+"6", readerObject, "f1a07417-d97a-45cb-824c-7a7467783830"); a.status != http.StatusCreated { // Managed Identity Operator
		t.Fatalf("%d %s", a.status, a.raw)
	}
	r.as(readerID, func() {
		if a := r.call("PUT", clusterPath, acting(identityPath)); a.status != http.StatusCreated {
			t.Errorf("with the right to assign it: %d %s", a.status, a.raw)
		}
	})
}

func TestAnIdentityThatAClusterCannotHaveIsRefused(t *testing.T) {
	r := newRig(t)
	r.group()
	r.identity("Workload")
	block := func(identity string) string {
		return strings.Replace(azCluster, `{"type":"SystemAssigned"}`, identity, 1)
	}
	two := `{"type":"UserAssigned","userAssignedIdentities":{"` + identityPath + `":{},"` + identityPath + `2":{}}}`
	r.writes = 0
	for name, body := range map[string]string{
		"one that is not there": acting(identityPath + "2"), "no identity": block(`{"type":"UserAssigned"}`), "two": block(two),
		"an id of something else":      acting(clusterPath),
		"one of another subscription":  acting(strings.Replace(identityPath, subscriptionID, tenantID, 1)),
		"one beside the cluster's own": block(`{"type":"SystemAssigned","userAssignedIdentities":{"` + identityPath + `":{}}}`),
		"both types":                   block(`{"type":"SystemAssigned,UserAssigned"}`), "no text": block(`{"type":"UserAssigned","userAssignedIdentities":{"x":{}}}`),
	} {
		if a := r.call("PUT", clusterPath, body); a.status != http.StatusBadRequest || !strings.Contains(a.raw, "identity.") {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
}

func TestAGroupWithAnIdentityThatAnotherGroupsClusterHasStays(t *testing.T) {
	r := newRig(t)
	r.group()
	r.identity("Workload")
	const elsewhere = subscriptionPath + "/resourceGroups/elsewhere"
	if a := r.call("PUT", elsewhere, `{"location":"local"}`); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	path := elsewhere + "/providers/Microsoft.ContainerService/managedClusters/Acting"
	if a := r.call("PUT", path, acting(identityPath)); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	check(t, r.call("DELETE", groupPath, ""), want{409, "ResourceGroupDeletionBlocked", "", "identity 'Workload' is in use by the managed cluster 'Acting' in the resource group 'elsewhere'"})
	using := r.call("POST", identityPath+"/listAssociatedResources?api-version=2022-01-31-preview", "")
	if values, _ := using.body["value"].([]any); using.body["totalCount"] != 1.0 || len(values) != 1 || values[0].(map[string]any)["id"] != path ||
		values[0].(map[string]any)["subscriptionDisplayName"] != "Test" {
		t.Errorf("what uses it: %d %s", using.status, using.raw)
	}
	check(t, r.call("POST", identityPath+"/listAssociatedResources?api-version=2022-01-31-preview&$skip=1", ""), want{400, "InvalidQueryParameterValue", "$skip", ""})
	r.as(readerID, func() {
		check(t, r.call("POST", identityPath+"/listAssociatedResources?api-version=2022-01-31-preview", ""), want{403, "AuthorizationFailed", "", "listAssociatedResources/action"})
	})
	if a := r.call("DELETE", elsewhere, ""); a.status != http.StatusAccepted {
		t.Errorf("the cluster's group: %d %s", a.status, a.raw)
	}
}

func TestAnIdentityWhoseGroupGoesIsGivenToNoCluster(t *testing.T) {
	r := newRig(t)
	r.group()
	r.identity("Workload")
	const elsewhere = subscriptionPath + "/resourceGroups/elsewhere"
	if a := r.call("PUT", elsewhere, `{"location":"local"}`); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if a := r.call("DELETE", groupPath, ""); a.status != http.StatusAccepted {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	path := elsewhere + "/providers/Microsoft.ContainerService/managedClusters/late"
	check(t, r.call("PUT", path, acting(identityPath)), want{409, "ResourceGroupBeingDeleted", "", "'rg'"})
}
