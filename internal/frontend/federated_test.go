package frontend_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/msi/armmsi"

	managedidentityv1alpha1 "berth.dev/berth/api/managedidentity/v1alpha1"
)

const credentialPath = identityPath + "/federatedIdentityCredentials/pod"

// federated is a federated credential as clients send it.
func federated(issuer, subject string) string {
	return fmt.Sprintf(`{"properties":{"issuer":%q,"subject":%q,"audiences":["api://AzureADTokenExchange"]}}`, issuer, subject)
}

func TestTheSDKMakesReadsListsAndDeletesAFederatedCredential(t *testing.T) {
	r := newRig(t)
	r.group()
	r.identity("Workload")
	token, err := r.credential(ownerID)
	if err != nil {
		t.Fatal(err)
	}
	credentials, err := armmsi.NewFederatedIdentityCredentialsClient(subscriptionID, token, r.options())
	if err != nil {
		t.Fatal(err)
	}
	sent := armmsi.FederatedIdentityCredential{Properties: &armmsi.FederatedIdentityCredentialProperties{
		Issuer: to.Ptr("https://issuer.example/a"), Subject: to.Ptr("system:serviceaccount:a:b"), Audiences: []*string{to.Ptr("api://AzureADTokenExchange")},
	}}
	made, err := credentials.CreateOrUpdate(t.Context(), "rg", "workload", "Pod", sent, nil)
	if err != nil || *made.ID != identityPath+"/federatedIdentityCredentials/Pod" || *made.Properties.Subject != "system:serviceaccount:a:b" ||
		*made.Type != "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials" {
		t.Fatalf("making: %v %+v", err, made.FederatedIdentityCredential)
	}
	sent.Properties.Subject = to.Ptr("system:serviceaccount:a:c")
	if again, err := credentials.CreateOrUpdate(t.Context(), "rg", "Workload", "pod", sent, nil); err != nil || *again.Properties.Subject != "system:serviceaccount:a:c" || *again.Name != "Pod" {
		t.Errorf("replacing: %v %+v", err, again.FederatedIdentityCredential)
	}
	// What changes the identity leaves its credentials.
	if a := r.call("PUT", identityPath+identityVersion, `{"location":"local","tags":{"a":"b"}}`); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if got, err := credentials.Get(t.Context(), "rg", "Workload", "Pod", nil); err != nil || *got.Properties.Audiences[0] != "api://AzureADTokenExchange" || *got.Properties.Issuer != "https://issuer.example/a" {
		t.Errorf("reading: %v %+v", err, got.FederatedIdentityCredential)
	}
	if page, err := credentials.NewListPager("rg", "Workload", nil).NextPage(t.Context()); err != nil || len(page.Value) != 1 {
		t.Errorf("listing: %v %+v", err, page.Value)
	}
	for range 2 { // the second time there is none
		if _, err := credentials.Delete(t.Context(), "rg", "Workload", "pod", nil); err != nil {
			t.Error(err)
		}
	}
	if _, err := credentials.Get(t.Context(), "rg", "Workload", "Pod", nil); err == nil || !strings.Contains(err.Error(), "ResourceNotFound") {
		t.Errorf("reading a deleted one: %v", err)
	}
}

func TestAWrongFederatedCredentialIsAnsweredClearlyAndChangesNothing(t *testing.T) {
	r := newRig(t)
	r.group()
	r.identity("Workload")
	const issuer = "https://issuer.example"
	if a := r.call("PUT", credentialPath+identityVersion, federated(issuer, "s")); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	for name, c := range map[string]struct {
		path, body string
		want       want
	}{
		"plain http":         {credentialPath, federated("http://issuer.example", "s"), want{400, "InvalidParameter", "properties.issuer", "https"}},
		"an issuer's query":  {credentialPath, federated(issuer+"?a=b", "s"), want{400, "InvalidParameter", "properties.issuer", ""}},
		"no subject":         {credentialPath, federated(issuer, ""), want{400, "InvalidParameter", "properties.subject", "required"}},
		"a long subject":     {credentialPath, federated(issuer, strings.Repeat("s", 601)), want{400, "InvalidParameter", "properties.subject", "600"}},
		"no audience":        {credentialPath, strings.Replace(federated(issuer, "s"), `"api://AzureADTokenExchange"`, "", 1), want{400, "InvalidParameter", "properties.audiences", "exactly one"}},
		"a short name":       {credentialPath[:len(credentialPath)-1], federated(issuer, "t"), want{400, "InvalidParameter", "federatedIdentityCredentialResourceName", "3 to 120"}},
		"a claims' language": {credentialPath, strings.Replace(federated(issuer, "s"), `"issuer"`, `"claimsMatchingExpression":{"value":"x"},"issuer"`, 1), want{400, "PropertyNotSupported", "properties.claimsMatchingExpression", ""}},
		"the same token":     {credentialPath + "2", federated(issuer, "s"), want{409, "Conflict", "", "'pod' of this issuer and subject"}},
		"a missing identity": {strings.Replace(credentialPath, "Workload", "None", 1), federated(issuer, "s"), want{404, "ResourceNotFound", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			r.writes = 0
			check(t, r.call("PUT", c.path+identityVersion, c.body), c.want)
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
			}
		})
	}
	for i := 1; i < 20; i++ {
		if a := r.call("PUT", fmt.Sprintf("%s-%d%s", credentialPath, i, identityVersion), federated(issuer, fmt.Sprint(i))); a.status != http.StatusCreated {
			t.Fatalf("%d %s", a.status, a.raw)
		}
	}
	check(t, r.call("PUT", credentialPath+"-20"+identityVersion, federated(issuer, "20")), want{400, "BadRequest", "", "has 20"})
	check(t, r.call("GET", credentialPath+"?api-version=2018-11-30", ""), want{400, "", "", "2022-01-31-preview"})
	r.as(readerID, func() {
		check(t, r.call("PUT", credentialPath+identityVersion, federated(issuer, "s")), want{403, "AuthorizationFailed", "", "federatedIdentityCredentials/write"})
	})
}

func TestAnIdentityGetsNoTokenForAForeignOneYet(t *testing.T) {
	r := newRig(t)
	r.group()
	_, clientID := r.identity("Workload")
	if a := r.call("PUT", credentialPath+identityVersion, federated("https://issuer.example", "s")); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	var stored managedidentityv1alpha1.UserAssignedIdentityList
	if err := r.store.List(t.Context(), &stored); err != nil || len(stored.Items[0].Spec.FederatedCredentials) != 1 {
		t.Fatalf("%v %+v", err, stored.Items)
	}
	form := "grant_type=client_credentials&client_id=" + clientID + "&scope=https%3A%2F%2Fmanagement.azure.com%2F.default" +
		"&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c"
	a := r.call("POST", "/"+tenantID+"/oauth2/v2.0/token?api-version=", form, "Content-Type", "application/x-www-form-urlencoded", "Authorization", "")
	if a.status != http.StatusBadRequest || !strings.Contains(a.raw, "AADSTS700016") {
		t.Errorf("%d %s", a.status, a.raw)
	}
}

func TestEveryNamespaceListsTheActionsOfItsRoutes(t *testing.T) {
	r, _, routes := routed(t)
	for _, route := range routes {
		namespace, _, found := strings.Cut(route.Action, "/")
		if !found {
			continue
		}
		list := r.operationsOf(namespace)
		for _, action := range []string{route.Action, namespace + "/register/action"} {
			if !list[action] {
				t.Errorf("%s is not among the operations of %s", action, namespace)
			}
		}
	}
	token, err := r.credential(ownerID)
	if err != nil {
		t.Fatal(err)
	}
	operations, err := armmsi.NewOperationsClient(token, r.options())
	if err != nil {
		t.Fatal(err)
	}
	page, err := operations.NewListPager(nil).NextPage(t.Context())
	if err != nil || len(page.Value) < 5 || *page.Value[0].Display.Provider != "Microsoft.ManagedIdentity" {
		t.Errorf("the SDK lists %+v, %v", page.Value, err)
	}
}

// operationsOf are the actions that a namespace lists.
func (r *rig) operationsOf(namespace string) map[string]bool {
	r.t.Helper()
	versions := map[string]string{"Microsoft.ManagedIdentity": "2023-01-31", "Microsoft.Authorization": "2022-04-01", "Microsoft.ContainerService": aksVersion, "Microsoft.Resources": "2021-04-01", "Microsoft.Network": "2022-01-01", "Microsoft.Compute": "2022-11-01"}
	version := versions[namespace]
	if version == "" {
		version = "2026-11-01" // of Berth's own
	}
	a := r.call("GET", "/providers/"+namespace+"/operations?api-version="+version, "")
	if a.status != http.StatusOK {
		r.t.Fatalf("%s: %d %s", namespace, a.status, a.raw)
	}
	list := map[string]bool{}
	for _, entry := range a.body["value"].([]any) {
		operation := entry.(map[string]any)
		display := operation["display"].(map[string]any)
		if display["operation"] == "" || display["description"] == "" {
			r.t.Errorf("%v has no words", operation)
		}
		list[operation["name"].(string)] = true
	}
	return list
}
