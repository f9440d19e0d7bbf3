package frontend_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
)

func TestTheSDKTreatsAClusterAsAnyResource(t *testing.T) {
	r := made(t)
	r.ready()
	credential, err := r.credential(ownerID)
	if err != nil {
		t.Fatal(err)
	}
	factory, err := armresources.NewClientFactory(subscriptionID, credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	generic, ctx := factory.NewClient(), t.Context()
	if there, err := generic.CheckExistenceByID(ctx, clusterPath, aksVersion, nil); err != nil || !there.Success {
		t.Errorf("the cluster is not there: %v", err)
	}
	if there, err := generic.CheckExistenceByID(ctx, clusterPath+"x", aksVersion, nil); err != nil || there.Success {
		t.Errorf("another one is there: %v", err)
	}
	found, err := generic.GetByID(ctx, clusterPath, aksVersion, nil)
	if err != nil || *found.Name != "demo" {
		t.Fatalf("got %+v, %v", found, err)
	}
	found.Tags = map[string]*string{"team": to.Ptr("web")}
	if _, err := generic.BeginCreateOrUpdateByID(ctx, clusterPath, aksVersion, found.GenericResource, nil); err != nil {
		t.Fatalf("sending back what was read: %v", err)
	}
	r.finish()
	for filter, want := range map[string]int{
		"resourceType eq 'Microsoft.ContainerService/managedClusters'": 1, "resourceType eq 'Microsoft.Other/x'": 0,
		"tagName eq 'team' and tagValue eq 'web'": 1, "tagName eq 'team' and tagValue eq 'shop'": 0, "name eq 'DEMO'": 1, "location eq 'Local'": 1,
		"substringof('em', name)": 1, "substringof('x', name)": 0, "substringof('r', resourceGroup) and name eq 'demo'": 1,
	} {
		pager := factory.NewClient().NewListPager(&armresources.ClientListOptions{Filter: &filter, Expand: to.Ptr("createdTime,provisioningState"), Top: to.Ptr(int32(5))})
		page, err := pager.NextPage(ctx)
		if err != nil || len(page.Value) != want {
			t.Errorf("%s: %d resources, %v", filter, len(page.Value), err)
			continue
		}
		if want == 1 && (page.Value[0].CreatedTime == nil || page.Value[0].ProvisioningState == nil) {
			t.Errorf("%s: %+v is not expanded", filter, page.Value[0])
		}
	}
	deleting, err := generic.BeginDeleteByID(ctx, clusterPath, aksVersion, nil)
	if err != nil || deleting.Done() {
		t.Errorf("deleting: %v", err)
	}
}

func TestTagsOfAGroupAndOfAResourceChangeAtTheirScope(t *testing.T) {
	r := made(t)
	for _, scope := range []string{groupPath, clusterPath} {
		path := scope + "/providers/Microsoft.Resources/tags/default?api-version=2021-04-01"
		for _, step := range []struct{ method, body, want string }{
			{"PUT", `{"properties":{"tags":{"a":"1","b":"2"}}}`, `{"a":"1","b":"2"}`},
			{"PATCH", `{"operation":"Merge","properties":{"tags":{"A":"3","c":"4"}}}`, `{"A":"3","b":"2","c":"4"}`},
			{"PATCH", `{"operation":"Delete","properties":{"tags":{"b":"","c":"other"}}}`, `{"A":"3","c":"4"}`},
			{"PATCH", `{"operation":"Replace","properties":{"tags":{"d":"5"}}}`, `{"d":"5"}`},
		} {
			a := r.call(step.method, path, step.body)
			if a.status != http.StatusOK || !strings.Contains(a.raw, `"tags":`+step.want) {
				t.Errorf("%s %s %s: %d %s", step.method, scope, step.body, a.status, a.raw)
			}
			if read := r.call("GET", path, ""); !strings.Contains(read.raw, `"tags":`+step.want) {
				t.Errorf("reading %s: %s", scope, read.raw)
			}
			if resource := r.call("GET", scope, ""); !strings.Contains(resource.raw, `"tags":`+step.want) {
				t.Errorf("the resource is %s", resource.raw)
			}
		}
		check(t, r.call("PATCH", path, `{"operation":"x","properties":{"tags":{}}}`), want{400, "InvalidParameter", "operation", "Merge"})
		check(t, r.call("PUT", path, `{}`), want{400, "InvalidParameter", "properties.tags", "missing"})
	}
	names := r.call("GET", "/subscriptions/"+subscriptionID+"/tagNames", "")
	if !strings.Contains(names.raw, `"tagName":"d"`) || !strings.Contains(names.raw, `"count":{"type":"Total","value":2}`) {
		t.Errorf("the names are %s", names.raw)
	}
	path := clusterPath + "/providers/Microsoft.Resources/tags/default?api-version=2021-04-01"
	if a := r.call("DELETE", path, ""); a.status != http.StatusOK {
		t.Errorf("deleting: %d %s", a.status, a.raw)
	}
	if read := r.call("GET", path, ""); !strings.Contains(read.raw, `"tags":{}`) {
		t.Errorf("after the deletion: %s", read.raw)
	}
	check(t, r.call("GET", strings.Replace(path, "/demo/", "/other/", 1), ""), want{404, "ResourceNotFound", "", ""})
	check(t, r.call("PUT", strings.Replace(path, "managedClusters", "nothings", 1), `{"properties":{"tags":{}}}`), want{404, "InvalidResourceType", "", ""})
	r.token = r.tokenOf(readerID)
	if a := r.call("GET", path, ""); a.status != http.StatusOK {
		t.Errorf("the reader's look: %d %s", a.status, a.raw)
	}
	check(t, r.call("PUT", path, `{"properties":{"tags":{}}}`), want{403, "AuthorizationFailed", "", "Microsoft.Resources/tags/write"})
}

func TestWhatIsMissingAroundResourcesIsNamed(t *testing.T) {
	r := made(t)
	for what, path := range map[string]string{
		"Exporting a template": groupPath + "/exportTemplate", "Moving resources": groupPath + "/moveResources",
	} {
		check(t, r.call("POST", path, "{}"), want{501, "NotSupported", "", what})
	}
	types := r.call("GET", "/subscriptions/"+subscriptionID+"/providers/Microsoft.ContainerService/resourceTypes?api-version=2021-04-01", "")
	if !strings.Contains(types.raw, `"apiVersions":["2026-`) || !strings.Contains(types.raw, `"resourceType":"managedClusters"`) {
		t.Errorf("the types are %s", types.raw)
	}
	check(t, r.call("DELETE", groupPath+"?forceDeletionTypes=Microsoft.Other/x", ""), want{400, "InvalidForceDeletionTypes", "forceDeletionTypes", ""})
	if a := r.call("DELETE", groupPath+"?forceDeletionTypes=Microsoft.Compute/virtualMachines", ""); a.status != http.StatusAccepted {
		t.Errorf("deleting the group by force: %d %s", a.status, a.raw)
	}
}
