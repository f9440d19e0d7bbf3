package frontend_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/msi/armmsi"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
)

const providersIn = subscriptionPath + "/providers/"

func TestASubscriptionDoesWithoutAProviderUntilItIsRegisteredAgain(t *testing.T) {
	r := made(t)
	const clusters, version = providersIn + "Microsoft.ContainerService", "?api-version=2021-04-01"
	check(t, r.call("POST", clusters+"/unregister"+version, ""), want{409, "Conflict", "", "has 1 resources of it, the first of them '"})
	cluster := r.cluster()
	if err := r.store.Delete(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	r.deleted(r.cluster())
	for range 2 {
		if a := r.call("POST", strings.ToLower(clusters)+"/unregister"+version, ""); a.status != http.StatusOK || a.body["registrationState"] != "Unregistered" {
			t.Fatalf("unregistering: %d %s", a.status, a.raw)
		}
	}
	if a := r.call("GET", clusters+version, ""); a.body["registrationState"] != "Unregistered" || a.body["registrationPolicy"] != "RegistrationRequired" {
		t.Errorf("it is %s", a.raw)
	}
	refused := r.call("PUT", clusterPath, aCluster)
	check(t, refused, want{409, "MissingSubscriptionRegistration", "", "az provider register"})
	_, _, message := refused.errorOf() // az finds the namespace so
	if found := regexp.MustCompile(`.*'(.*)'`).FindStringSubmatch(message); found == nil || found[1] != "Microsoft.ContainerService" {
		t.Errorf("az would not find the namespace in %q", message)
	}
	if a := r.call("GET", groupPath+"/providers/Microsoft.ContainerService/managedClusters", ""); a.status != http.StatusOK || len(a.body["value"].([]any)) != 0 {
		t.Errorf("listing: %d %s", a.status, a.raw)
	}
	if a := r.call("DELETE", clusterPath, ""); a.status != http.StatusNoContent {
		t.Errorf("deleting what is not there: %d %s", a.status, a.raw)
	}
	if a := r.call("POST", clusters+"/register"+version, ""); a.status != http.StatusOK || a.body["registrationState"] != "Registered" {
		t.Errorf("registering: %d %s", a.status, a.raw)
	}
	if a := r.call("PUT", clusterPath, aCluster); a.status != http.StatusCreated {
		t.Errorf("creating: %d %s", a.status, a.raw)
	}
	check(t, r.call("POST", providersIn+"Microsoft.Resources/unregister", ""), want{409, "Conflict", "", "every subscription"})
	check(t, r.call("POST", providersIn+"Microsoft.Quota/unregister", ""), want{404, "InvalidResourceNamespace", "namespace", ""})
	r.as(readerID, func() {
		check(t, r.call("POST", clusters+"/register"+version, ""), want{403, "AuthorizationFailed", "", "Microsoft.ContainerService/register/action"})
	})
}

func TestTheSDKRegistersAProviderByItself(t *testing.T) {
	r := newRig(t)
	r.group()
	if a := r.call("POST", providersIn+"Microsoft.ManagedIdentity/unregister", ""); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	credential, err := r.credential(ownerID)
	if err != nil {
		t.Fatal(err)
	}
	identities, err := armmsi.NewUserAssignedIdentitiesClient(subscriptionID, credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identities.CreateOrUpdate(t.Context(), "rg", "Workload", armmsi.Identity{Location: to.Ptr("local")}, nil); err != nil {
		t.Errorf("making an identity: %v", err)
	}
	if a := r.call("GET", providersIn+"Microsoft.ManagedIdentity", ""); a.body["registrationState"] != "Registered" {
		t.Errorf("it is %s", a.raw)
	}
}

func TestASubscriptionHasTagsOfItsOwn(t *testing.T) {
	r := newRig(t)
	const tags = subscriptionPath + "/providers/Microsoft.Resources/tags/default"
	for _, step := range []struct{ method, body, want string }{
		{"GET", "", `"tags":{}`},
		{"PATCH", `{"operation":"Merge","properties":{"tags":{"a":"1","b":"2"}}}`, `"tags":{"a":"1","b":"2"}`},
		{"PATCH", `{"operation":"Delete","properties":{"tags":{"A":"1"}}}`, `"tags":{"b":"2"}`},
		{"PUT", `{"properties":{"tags":{"c":"3"}}}`, `"tags":{"c":"3"}`},
		{"GET", "", `"tags":{"c":"3"}`},
	} {
		if a := r.call(step.method, tags, step.body); a.status != http.StatusOK || !strings.Contains(a.raw, step.want) {
			t.Errorf("%s %s: %d %s", step.method, step.body, a.status, a.raw)
		}
	}
	if a := r.call("GET", subscriptionPath, ""); !strings.Contains(a.raw, `"tags":{"c":"3"}`) {
		t.Errorf("the subscription is %s", a.raw)
	}
	if a := r.call("GET", subscriptionPath+"/tagNames", ""); !strings.Contains(a.raw, `"tagName":"c"`) {
		t.Errorf("the names are %s", a.raw)
	}
	r.as(readerID, func() {
		check(t, r.call("GET", tags, ""), want{403, "AuthorizationFailed", "", "Microsoft.Resources/tags/read"})
	})
	if a := r.call("DELETE", tags, ""); a.status != http.StatusOK {
		t.Errorf("deleting: %d %s", a.status, a.raw)
	}
	var subscription resourcesv1alpha1.Subscription
	if err := r.store.Get(t.Context(), client.ObjectKey{Name: subscriptionID}, &subscription); err != nil || len(subscription.Spec.Tags) != 0 || subscription.Spec.State != "Enabled" {
		t.Errorf("it is stored as %+v, %v", subscription.Spec, err)
	}
}
