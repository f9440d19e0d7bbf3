package frontend_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/msi/armmsi"
	"sigs.k8s.io/controller-runtime/pkg/client"

	managedidentityv1alpha1 "berth.dev/berth/api/managedidentity/v1alpha1"
	"berth.dev/berth/internal/identity"
)

const (
	identitiesIn    = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
	identityPath    = groupPath + identitiesIn + "Workload"
	identityVersion = "?api-version=2023-01-31"
)

// anIdentity makes the identity that the requests to every route name.
func (r *rig) anIdentity() { r.identity("demo") }

// identity makes an identity and returns its principal id.
func (r *rig) identity(name string) (principalID, clientID string) {
	r.t.Helper()
	a := r.call("PUT", groupPath+identitiesIn+name+identityVersion, `{"location":"local"}`)
	if a.status != http.StatusCreated {
		r.t.Fatalf("%d %s", a.status, a.raw)
	}
	properties := a.body["properties"].(map[string]any)
	return properties["principalId"].(string), properties["clientId"].(string)
}

func TestTheSDKMakesReadsTagsAndDeletesAnIdentity(t *testing.T) {
	r := newRig(t)
	r.group()
	credential, err := r.credential(ownerID)
	if err != nil {
		t.Fatal(err)
	}
	identities, err := armmsi.NewUserAssignedIdentitiesClient(subscriptionID, credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	made, err := identities.CreateOrUpdate(t.Context(), "rg", "Workload", armmsi.Identity{Location: to.Ptr("Local"), Tags: map[string]*string{"a": to.Ptr("1")}}, nil)
	if err != nil || len(*made.Properties.PrincipalID) != 36 || *made.Properties.PrincipalID == *made.Properties.ClientID || *made.Properties.TenantID != tenantID || *made.ID != identityPath {
		t.Fatalf("making: %v %+v", err, made.Identity)
	}
	again, err := identities.CreateOrUpdate(t.Context(), "RG", "workload", armmsi.Identity{Location: to.Ptr("local")}, nil)
	if err != nil || *again.Properties.PrincipalID != *made.Properties.PrincipalID || len(again.Tags) != 0 || *again.Name != "Workload" {
		t.Errorf("making it again: %v %+v", err, again.Identity)
	}
	tagged, err := identities.Update(t.Context(), "rg", "Workload", armmsi.IdentityUpdate{Tags: map[string]*string{"b": to.Ptr("2")}}, nil)
	if err != nil || *tagged.Tags["b"] != "2" || *tagged.Properties.ClientID != *made.Properties.ClientID {
		t.Errorf("tagging: %v %+v", err, tagged.Identity)
	}
	inGroup, err := identities.NewListByResourceGroupPager("rg", nil).NextPage(t.Context())
	if err != nil || len(inGroup.Value) != 1 {
		t.Errorf("listing the group: %v %+v", err, inGroup.Value)
	}
	inSubscription, err := identities.NewListBySubscriptionPager(nil).NextPage(t.Context())
	if err != nil || len(inSubscription.Value) != 1 || *inSubscription.Value[0].ID != identityPath {
		t.Errorf("listing the subscription: %v %+v", err, inSubscription.Value)
	}
	if a := r.call("GET", groupPath+"/resources?api-version=2021-04-01", ""); !strings.Contains(a.raw, "Microsoft.ManagedIdentity/userAssignedIdentities") {
		t.Errorf("it is not among the group's resources: %s", a.raw)
	}
	if _, err := identities.Delete(t.Context(), "rg", "Workload", nil); err != nil {
		t.Error(err)
	}
	if _, err := identities.Get(t.Context(), "rg", "Workload", nil); err == nil || !strings.Contains(err.Error(), "ResourceNotFound") {
		t.Errorf("reading a deleted identity: %v", err)
	}
	if _, err := identities.Delete(t.Context(), "rg", "Workload", nil); err != nil {
		t.Errorf("deleting it again: %v", err)
	}
}

func TestEveryPublishedVersionOfIdentitiesIsServed(t *testing.T) {
	r := newRig(t)
	r.group()
	r.identity("Workload")
	for _, version := range []string{"2015-08-31-preview", "2018-11-30", "2022-01-31-preview", "2023-01-31", "2024-11-30"} {
		if a := r.call("GET", identityPath+"?api-version="+version, ""); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", version, a.status, a.raw)
		}
	}
	if a := r.call("GET", identityPath+"?api-version=2019-01-01", ""); a.status != http.StatusBadRequest {
		t.Errorf("a version that nobody published: %d", a.status)
	}
}

func TestRolesAreGivenToAnIdentityAndOnOneUntilItIsDeleted(t *testing.T) {
	r := newRig(t)
	r.group()
	principal, _ := r.identity("Workload")
	if a := r.assign(groupPath, assignmentName, principal, identity.RoleReader); a.status != http.StatusCreated {
		t.Errorf("to it: %d %s", a.status, a.raw)
	}
	on := strings.Replace(assignmentName, "1", "2", 1)
	if a := r.assign(identityPath, on, readerObject, "f1a07417-d97a-45cb-824c-7a7467783830"); a.status != http.StatusCreated {
		t.Errorf("on it: %d %s", a.status, a.raw)
	}
	if a := r.call("DELETE", identityPath+identityVersion, ""); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	var left managedidentityv1alpha1.UserAssignedIdentityList
	if err := r.store.List(t.Context(), &left); err != nil || len(left.Items) != 1 || len(left.Items[0].Finalizers) != 1 {
		t.Fatalf("the identity does not wait for its roles to be taken away: %v %+v", err, left.Items)
	}
	// Its controller has not come by yet: nothing is granted any more, nor made under the name.
	check(t, r.assign(groupPath, assignmentName[:35]+"9", principal, identity.RoleContributor), want{400, "PrincipalNotFound", "", ""})
	check(t, r.assign(identityPath, assignmentName[:35]+"8", readerObject, identity.RoleOwner), want{404, "ResourceNotFound", "", ""})
	check(t, r.call("PUT", identityPath+identityVersion, `{"location":"local"}`), want{409, "Conflict", "", "being deleted"})
	check(t, r.call("PATCH", identityPath+identityVersion, `{"tags":{}}`), want{404, "ResourceNotFound", "", ""})
	left.Items[0].Finalizers = nil
	if err := r.store.Update(t.Context(), &left.Items[0]); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	if again, _ := r.identity("Workload"); again == principal {
		t.Error("the next identity of the name is the same principal")
	}
}

func TestABadIdentityIsAnsweredClearlyAndChangesNothing(t *testing.T) {
	r := newRig(t)
	r.group()
	for name, c := range map[string]struct {
		path, body string
		want       want
	}{
		"no location":         {identityPath, `{}`, want{400, "LocationRequired", "location", ""}},
		"another location":    {identityPath, `{"location":"mars"}`, want{400, "LocationNotAvailableForResourceType", "location", "local"}},
		"a short name":        {groupPath + identitiesIn + "ab", `{"location":"local"}`, want{400, "InvalidParameter", "resourceName", "3 to 128"}},
		"a name with a dot":   {groupPath + identitiesIn + "a.b.c", `{"location":"local"}`, want{400, "InvalidParameter", "resourceName", ""}},
		"a missing group":     {strings.Replace(identityPath, "/rg/", "/none/", 1), `{"location":"local"}`, want{404, "ResourceGroupNotFound", "", ""}},
		"an unknown property": {identityPath, `{"location":"local","properties":{"x":1}}`, want{400, "", "properties.x", ""}},
		"isolation":           {identityPath, `{"location":"local","properties":{"isolationScope":"Regional"}}`, want{400, "PropertyNotSupported", "properties.isolationScope", "one region"}},
	} {
		t.Run(name, func(t *testing.T) {
			r.writes = 0
			check(t, r.call("PUT", c.path+identityVersion, c.body), c.want)
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
			}
		})
	}
	r.as(readerID, func() {
		check(t, r.call("PUT", identityPath+identityVersion, `{"location":"local"}`), want{403, "AuthorizationFailed", "", "userAssignedIdentities/write"})
	})
}
