package frontend_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
)

// neverBuilt are the operations that may answer NotSupported for good: each
// needs something that an install has not.
func neverBuilt() []string {
	return []string{
		"ManagedClusters.NewListMeshRevisionProfilesPager", "ManagedClusters.GetMeshRevisionProfile",
		"ManagedClusters.NewListMeshUpgradeProfilesPager", "ManagedClusters.GetMeshUpgradeProfile",
		"ManagedClusters.BeginResetAADProfile", "ManagedClusters.BeginResetServicePrincipalProfile",
		"PrivateEndpointConnections.List", "PrivateEndpointConnections.Get", "PrivateEndpointConnections.Update", "PrivateEndpointConnections.BeginDelete",
		"PrivateLinkResources.List", "ResolvePrivateLinkServiceID.POST", "TrustedAccessRoles.NewListPager",
		"TrustedAccessRoleBindings.NewListPager", "TrustedAccessRoleBindings.Get", "TrustedAccessRoleBindings.BeginCreateOrUpdate", "TrustedAccessRoleBindings.BeginDelete",
		"Snapshots.NewListPager", "Snapshots.NewListByResourceGroupPager", "Snapshots.Get", "Snapshots.CreateOrUpdate", "Snapshots.UpdateTags", "Snapshots.Delete",
	}
}

// beingBuilt are those that may answer NotSupported until they are there; a
// line goes with the change that builds it.
func beingBuilt() []string {
	return []string{
		"ManagedClusters.BeginStart", "ManagedClusters.BeginStop", "ManagedClusters.BeginAbortLatestOperation", "AgentPools.BeginAbortLatestOperation",
		"AgentPools.BeginDeleteMachines", "AgentPools.BeginUpgradeNodeImageVersion", "AgentPools.GetUpgradeProfile",
	}
}

func TestEveryOperationOfTheSDKIsAnswered(t *testing.T) {
	r := made(t)
	r.ready()
	called, refused := map[string]bool{}, map[string]bool{}
	for client, value := range r.sdkClients(t) {
		clientType := value.Type()
		for i := range clientType.NumMethod() {
			name := client + "." + clientType.Method(i).Name
			called[name] = true
			err := callSDK(t, value.Method(i), clientType.Method(i).Name)
			var response *azcore.ResponseError
			if errors.As(err, &response) && response.ErrorCode == "NotSupported" {
				refused[name] = true
				if !strings.Contains(err.Error(), "is not built yet") {
					t.Errorf("%s does not say what is missing: %v", name, err)
				}
			} else if errors.As(err, &response) && (response.StatusCode >= 500 || response.ErrorCode == "InvalidResourceType" || response.StatusCode == http.StatusMethodNotAllowed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if len(called) != 59 {
		t.Errorf("the SDK has %d operations, want 59: %v", len(called), slices.Sorted(maps.Keys(called)))
	}
	for _, name := range neverBuilt() {
		if !refused[name] {
			t.Errorf("%s is not refused any more: take it from the list", name)
		}
		delete(refused, name)
	}
	for _, name := range beingBuilt() {
		if !called[name] {
			t.Errorf("%s is no operation of the SDK", name)
		}
		delete(refused, name)
	}
	if len(refused) > 0 {
		t.Errorf("these answer NotSupported: %v", slices.Sorted(maps.Keys(refused)))
	}
}

// sdkClients are the SDK's clients of the resource provider.
func (r *rig) sdkClients(t *testing.T) map[string]reflect.Value {
	t.Helper()
	credential, err := r.credential(ownerID)
	if err != nil {
		t.Fatal(err)
	}
	factory, err := armcontainerservice.NewClientFactory(subscriptionID, credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string]reflect.Value{}
	value := reflect.ValueOf(factory)
	for i := range value.NumMethod() {
		name := strings.TrimSuffix(strings.TrimPrefix(value.Type().Method(i).Name, "New"), "Client")
		clients[name] = value.Method(i).Call(nil)[0]
	}
	return clients
}

// callSDK calls a method, and fetches the first page of a pager.
func callSDK(t *testing.T, method reflect.Value, name string) error {
	t.Helper()
	names := []string{"rg", "demo", "nodepool1", "x"}
	if strings.Contains(name, "KubernetesVersions") || strings.Contains(name, "MeshRevision") {
		names = []string{"local", "istio"}
	}
	var arguments []reflect.Value
	for i := range method.Type().NumIn() {
		in := method.Type().In(i)
		switch {
		case in == reflect.TypeFor[context.Context]():
			arguments = append(arguments, reflect.ValueOf(t.Context()))
		case in.Kind() == reflect.String:
			arguments = append(arguments, reflect.ValueOf(names[0]))
			names = names[1:]
		default:
			arguments = append(arguments, reflect.Zero(in))
		}
	}
	results := method.Call(arguments)
	if next := results[0].MethodByName("NextPage"); next.IsValid() {
		results = next.Call([]reflect.Value{reflect.ValueOf(t.Context())})
	}
	err, _ := results[len(results)-1].Interface().(error)
	return err
}
