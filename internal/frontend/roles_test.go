package frontend_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/identity"
)

const (
	subscriptionPath = "/subscriptions/" + subscriptionID
	assignmentName   = "aaaaaaaa-0000-4000-8000-000000000001"
	roleName         = "bbbbbbbb-0000-4000-8000-000000000001"
	rolesIn          = "/providers/Microsoft.Authorization/roleDefinitions/"
	assignmentsIn    = "/providers/Microsoft.Authorization/roleAssignments/"
)

// assign gives a principal a role, as the owner of the rig's token.
func (r *rig) assign(scope, name, principal, role string) answer {
	r.t.Helper()
	return r.call("PUT", scope+assignmentsIn+name+"?api-version=2022-04-01",
		`{"properties":{"roleDefinitionId":"`+subscriptionPath+rolesIn+role+`","principalId":"`+principal+`"}}`)
}

// as makes calls with the token of a client.
func (r *rig) as(clientID string, calls func()) {
	r.t.Helper()
	before := r.token
	r.token = r.tokenOf(clientID)
	defer func() { r.token = before }()
	calls()
}

func TestTheSDKAssignsRolesAndFindsThemAgain(t *testing.T) {
	r := newRig(t)
	r.group()
	credential, err := r.credential(ownerID)
	if err != nil {
		t.Fatal(err)
	}
	factory, err := armauthorization.NewClientFactory(subscriptionID, credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	definitions, assignments := factory.NewRoleDefinitionsClient(), factory.NewRoleAssignmentsClient()
	page, err := definitions.NewListPager(subscriptionPath, &armauthorization.RoleDefinitionsClientListOptions{Filter: to.Ptr("roleName eq 'Network Contributor'")}).NextPage(t.Context())
	if err != nil || len(page.Value) != 1 || *page.Value[0].Name != "4d97b98b-1d4f-4787-a291-c67834d212e7" || *page.Value[0].Properties.RoleType != "BuiltInRole" {
		t.Fatalf("looking for a role by name: %v %+v", err, page.Value)
	}
	byID, err := definitions.GetByID(t.Context(), *page.Value[0].ID, nil)
	if err != nil || *byID.Properties.RoleName != "Network Contributor" {
		t.Fatalf("reading it by id: %v", err)
	}
	made, err := assignments.Create(t.Context(), groupPath, assignmentName, armauthorization.RoleAssignmentCreateParameters{
		Properties: &armauthorization.RoleAssignmentProperties{RoleDefinitionID: byID.ID, PrincipalID: to.Ptr(readerObject), Description: to.Ptr("for a test")},
	}, nil)
	if err != nil || *made.Properties.Scope != groupPath || *made.Properties.PrincipalType != "ServicePrincipal" || *made.Properties.CreatedBy != ownerObject {
		t.Fatalf("assigning: %v %+v", err, made.Properties)
	}
	if _, err := assignments.GetByID(t.Context(), *made.ID, nil); err != nil {
		t.Error(err)
	}
	list := func(scope, filter string) string {
		filter = strings.ReplaceAll(filter, " ", "%20") // the SDK sends this one as it is
		page, err := assignments.NewListForScopePager(scope, &armauthorization.RoleAssignmentsClientListForScopeOptions{Filter: &filter}).NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var found strings.Builder
		for _, a := range page.Value {
			found.WriteString((*a.Name)[:1])
		}
		return found.String()
	}
	// The rig's own are "a", Owner of the subscription, "b", Reader of the group, and "c", of the tenant.
	for _, c := range [][3]string{
		{subscriptionPath, "", "aabc"}, {subscriptionPath, "atScope()", "ac"}, {groupPath, "atScope()", "aabc"},
		{subscriptionPath, "principalId eq '" + readerObject + "'", "ab"}, {groupPath, "atScope() and assignedTo('" + readerObject + "')", "ab"},
		{groupPath, "assignedTo('{" + ownerObject + "}')", "ac"},
	} {
		if got := list(c[0], c[1]); got != c[2] {
			t.Errorf("%s with %q lists %s, want %s", c[0], c[1], got, c[2])
		}
	}
	if _, err := assignments.DeleteByID(t.Context(), *made.ID, nil); err != nil {
		t.Error(err)
	}
	if _, err := assignments.GetByID(t.Context(), *made.ID, nil); err == nil || !strings.Contains(err.Error(), "RoleAssignmentNotFound") {
		t.Errorf("reading a deleted assignment: %v", err)
	}
}

func TestTheSDKMakesACustomRoleThatAllowsWhatItSays(t *testing.T) {
	r := made(t)
	r.ready()
	credential, err := r.credential(ownerID)
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := armauthorization.NewRoleDefinitionsClient(credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	role := armauthorization.RoleDefinition{Properties: &armauthorization.RoleDefinitionProperties{
		RoleName: to.Ptr("Credential Reader"), RoleType: to.Ptr("CustomRole"), AssignableScopes: []*string{to.Ptr(groupPath)},
		Permissions: []*armauthorization.Permission{{
			Actions: []*string{to.Ptr("Microsoft.ContainerService/managedClusters/*/action")}, NotActions: []*string{to.Ptr("*/listClusterAdminCredential/action")},
			DataActions: []*string{to.Ptr("Microsoft.ContainerService/managedClusters/pods/read")},
		}},
	}}
	if _, err := definitions.CreateOrUpdate(t.Context(), groupPath, roleName, role, nil); err != nil {
		t.Fatal(err)
	}
	page, err := definitions.NewListPager(subscriptionPath, &armauthorization.RoleDefinitionsClientListOptions{Filter: to.Ptr("atScopeAndBelow() and type eq 'CustomRole'")}).NextPage(t.Context())
	if err != nil || len(page.Value) != 1 || *page.Value[0].Properties.Permissions[0].DataActions[0] != "Microsoft.ContainerService/managedClusters/pods/read" {
		t.Errorf("listing custom roles: %v %+v", err, page.Value)
	}
	if a := r.assign(subscriptionPath, assignmentName, readerObject, roleName); a.status != http.StatusBadRequest {
		t.Errorf("assigning it above its scopes: %d %s", a.status, a.raw)
	}
	if a := r.assign(groupPath, assignmentName, readerObject, roleName); a.status != http.StatusCreated {
		t.Fatalf("assigning it: %d %s", a.status, a.raw)
	}
	r.as(readerID, func() {
		if a := r.call("POST", clusterPath+"/listClusterUserCredential", ""); a.status != http.StatusOK {
			t.Errorf("what it allows: %d %s", a.status, a.raw)
		}
		check(t, r.call("POST", clusterPath+"/listClusterAdminCredential", ""), want{403, "AuthorizationFailed", "", "listClusterAdminCredential"})
	})
	if _, err := definitions.Delete(t.Context(), groupPath, roleName, nil); err == nil || !strings.Contains(err.Error(), "RoleDefinitionHasAssignments") {
		t.Errorf("deleting a role in use: %v", err)
	}
	role.Properties.AssignableScopes = []*string{to.Ptr(strings.Replace(groupPath, "/rg", "/other", 1))}
	if _, err := definitions.CreateOrUpdate(t.Context(), groupPath, roleName, role, nil); err == nil || !strings.Contains(err.Error(), "RoleDefinitionHasAssignments") {
		t.Errorf("moving a role in use elsewhere: %v", err)
	}
	if a := r.call("DELETE", groupPath+assignmentsIn+assignmentName, ""); a.status != http.StatusBadRequest {
		t.Errorf("an api-version that roleAssignments never had: %d %s", a.status, a.raw)
	}
	if a := r.call("DELETE", groupPath+assignmentsIn+assignmentName+"?api-version=2020-04-01-preview", ""); a.status != http.StatusOK {
		t.Errorf("taking it away: %d %s", a.status, a.raw)
	}
	r.as(readerID, func() {
		check(t, r.call("POST", clusterPath+"/listClusterUserCredential", ""), want{403, "AuthorizationFailed", "", ""})
	})
	if _, err := definitions.Delete(t.Context(), groupPath, roleName, nil); err != nil {
		t.Errorf("deleting a role that nobody has: %v", err)
	}
}

func TestNobodyRaisesTheirOwnRightsOrThoseOfOthers(t *testing.T) {
	r := newRig(t)
	r.group()
	role := `{"properties":{"roleName":"mine","permissions":[{"actions":["*"]}],"assignableScopes":["` + groupPath + `"]}}`
	for _, given := range []string{identity.RoleReader, identity.RoleContributor} {
		if a := r.assign(groupPath, strings.Replace(assignmentName, "1", given[:1], 1), readerObject, given); a.status != http.StatusCreated && a.status != http.StatusConflict {
			t.Fatalf("%d %s", a.status, a.raw)
		}
		r.writes = 0
		r.as(readerID, func() {
			check(t, r.assign(groupPath, assignmentName, readerObject, identity.RoleOwner), want{403, "AuthorizationFailed", "", "Microsoft.Authorization/roleAssignments/write"})
			check(t, r.assign(clusterPath, assignmentName, readerObject, identity.RoleOwner), want{403, "AuthorizationFailed", "", "roleAssignments/write"})
			check(t, r.call("DELETE", subscriptionPath+assignmentsIn+assignmentName+"?api-version=2022-04-01", ""), want{403, "AuthorizationFailed", "", "roleAssignments/delete"})
			check(t, r.call("PUT", groupPath+rolesIn+roleName+"?api-version=2022-04-01", role), want{403, "AuthorizationFailed", "", "roleDefinitions/write"})
		})
	}
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
	if a := r.assign(groupPath, "aaaaaaaa-0000-4000-8000-000000000007", readerObject, identity.RoleUserAccessAdministrator); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	r.as(readerID, func() {
		if a := r.assign(groupPath, "aaaaaaaa-0000-4000-8000-000000000008", readerObject, identity.RoleOwner); a.status != http.StatusCreated {
			t.Errorf("a user access administrator of the group assigns there: %d %s", a.status, a.raw)
		}
		check(t, r.assign(subscriptionPath, assignmentName, readerObject, identity.RoleOwner), want{403, "AuthorizationFailed", "", "over scope '" + subscriptionPath})
		check(t, r.call("PUT", "/providers/Microsoft.Authorization/roleAssignments/"+assignmentName+"?api-version=2022-04-01", "{}"), want{403, "AuthorizationFailed", "", ""})
		wide := strings.Replace(role, `"`+groupPath+`"`, `"`+groupPath+`","`+subscriptionPath+`"`, 1)
		check(t, r.call("PUT", groupPath+rolesIn+roleName+"?api-version=2022-04-01", wide), want{403, "AuthorizationFailed", "", "over scope '" + subscriptionPath})
		if a := r.call("PUT", groupPath+rolesIn+roleName+"?api-version=2022-04-01", role); a.status != http.StatusCreated {
			t.Errorf("a custom role within the own scope: %d %s", a.status, a.raw)
		}
	})
}

func TestARoleThatAnotherFrontEndChangesActsWithinSeconds(t *testing.T) {
	now := time.Now()
	r := newRig(t, func(c *frontend.Config) {
		tokens, err := identity.NewService(t.Context(), identity.Options{Client: c.Client, TenantID: tenantID, PublicURL: c.PublicURL, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		c.Tokens = tokens
	})
	r.group()
	put := func() int { return r.call("PUT", groupPath, `{"location":"local"}`).status }
	r.token = r.tokenOf(readerID)
	if status := put(); status != http.StatusForbidden {
		t.Fatalf("before: %d", status)
	}
	given := &authorizationv1alpha1.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: assignmentName}, Spec: authorizationv1alpha1.RoleAssignmentSpec{
		PrincipalID: strings.ToUpper(readerObject), RoleDefinitionID: identity.RoleContributor, Scope: strings.ToUpper(groupPath)}}
	if err := r.store.Create(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	now = now.Add(3 * time.Second)
	if status := put(); status != http.StatusOK {
		t.Errorf("three seconds after it was given: %d", status)
	}
	if err := r.store.Delete(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	now = now.Add(3 * time.Second)
	if status := put(); status != http.StatusForbidden {
		t.Errorf("three seconds after it was taken away: %d", status)
	}
}

func TestABadRoleOrAssignmentIsAnsweredClearlyAndChangesNothing(t *testing.T) {
	r := newRig(t)
	r.group()
	assignment := func(role, principal, more string) string {
		return `{"properties":{"roleDefinitionId":"` + role + `","principalId":"` + principal + `"` + more + `}}`
	}
	role := func(properties string) string { return `{"properties":{` + properties + `}}` }
	const permissions = `"permissions":[{"actions":["*/read"]}]`
	scopes := `"assignableScopes":["` + groupPath + `"]`
	at, in := groupPath+assignmentsIn+assignmentName, groupPath+rolesIn+roleName
	for name, c := range map[string]struct {
		path, body string
		want       want
	}{
		"no body":                  {at, "", want{400, "InvalidRequestContent", "", "empty"}},
		"a name that is no GUID":   {groupPath + assignmentsIn + "mine", assignment(identity.RoleReader, readerObject, ""), want{400, "InvalidRoleDefinitionOrAssignmentId", "roleAssignmentName", "GUID"}},
		"an unknown role":          {at, assignment(tenantID, readerObject, ""), want{400, "RoleDefinitionDoesNotExist", "properties.roleDefinitionId", "does not exist"}},
		"no role":                  {at, assignment("", readerObject, ""), want{400, "InvalidRoleDefinitionId", "properties.roleDefinitionId", ""}},
		"an unknown principal":     {at, assignment(identity.RoleReader, tenantID, ""), want{400, "PrincipalNotFound", "properties.principalId", "does not exist in the directory"}},
		"a principal that is none": {at, assignment(identity.RoleReader, "me", ""), want{400, "InvalidPrincipalId", "properties.principalId", "GUID"}},
		"a user":                   {at, assignment(identity.RoleReader, readerObject, `,"principalType":"User"`), want{400, "PropertyNotSupported", "properties.principalType", "service principals"}},
		"a condition":              {at, assignment(identity.RoleReader, readerObject, `,"condition":"true"`), want{400, "PropertyNotSupported", "properties.condition", "not built"}},
		"what is assigned already": {at, assignment(identity.RoleReader, readerObject, ""), want{409, "RoleAssignmentExists", "", "already exists"}},
		"a group that is missing":  {strings.Replace(at, "/rg/", "/none/", 1), assignment(identity.RoleReader, readerObject, ""), want{404, "ResourceGroupNotFound", "", ""}},
		"a cluster that is missing": {clusterPath + assignmentsIn + assignmentName, assignment(identity.RoleReader, readerObject, ""),
			want{404, "ResourceNotFound", "", "was not found"}},
		"a built-in role":               {groupPath + rolesIn + identity.RoleOwner, role(`"roleName":"x",` + permissions + "," + scopes), want{403, "RoleDefinitionIsBuiltIn", "", "built-in"}},
		"a role named as another":       {in, role(`"roleName":"OWNER",` + permissions + "," + scopes), want{409, "RoleDefinitionWithSameNameExists", "properties.roleName", ""}},
		"a role without a name":         {in, role(permissions + "," + scopes), want{400, "InvalidParameter", "properties.roleName", ""}},
		"a role without permissions":    {in, role(`"roleName":"x",` + scopes), want{400, "InvalidParameter", "properties.permissions", ""}},
		"a role for the whole tenant":   {in, role(`"roleName":"x","assignableScopes":["/"],` + permissions), want{400, "InvalidAssignableScope", "properties.assignableScopes[0]", ""}},
		"an action that is none":        {in, role(`"roleName":"x",` + scopes + `,"permissions":[{"actions":["read everything"]}]`), want{400, "InvalidActionOrNotAction", "properties.permissions[0].actions[0]", ""}},
		"a role that says its built in": {in, role(`"roleName":"x","type":"BuiltInRole",` + permissions + "," + scopes), want{400, "PropertyNotSupported", "properties.type", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			r.writes = 0
			check(t, r.call("PUT", c.path+"?api-version=2022-04-01", c.body), c.want)
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
			}
		})
	}
	for _, filter := range []string{"principalId%20ne%20'x'", "scope%20eq%20'x'", "atScope(", "'"} {
		check(t, r.call("GET", groupPath+"/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01&$filter="+filter, ""), want{400, "", "$filter", ""})
	}
	if a := r.call("GET", groupPath+assignmentsIn+assignmentName+"?api-version=2022-04-01", ""); a.status != http.StatusNotFound {
		t.Errorf("an assignment that is not there: %d", a.status)
	}
}
