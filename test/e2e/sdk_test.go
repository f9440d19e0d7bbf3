//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azarm "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	azcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
)

// sdkCredential is what the SDK's clients of the service under test need, as any
// program makes it.
func sdkCredential(t *testing.T) (azcore.TokenCredential, *azarm.ClientOptions) {
	t.Helper()
	content, err := os.ReadFile(service.cloud.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(content)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	options := azcore.ClientOptions{Transport: &http.Client{Transport: transport}, Cloud: azcloud.Configuration{
		ActiveDirectoryAuthorityHost: service.cloud.ARMEndpoint,
		Services: map[azcloud.ServiceName]azcloud.ServiceConfiguration{
			azcloud.ResourceManager: {Endpoint: service.cloud.ARMEndpoint, Audience: service.cloud.ARMEndpoint},
		},
	}}
	credential, err := azidentity.NewClientSecretCredential(service.cloud.TenantID, service.cloud.ClientID, service.cloud.ClientSecret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	return credential, &azarm.ClientOptions{ClientOptions: options}
}

// sdk are the SDK's clients of clusters.
func sdk(t *testing.T) *armcontainerservice.ClientFactory {
	t.Helper()
	credential, options := sdkCredential(t)
	factory, err := armcontainerservice.NewClientFactory(service.cloud.SubscriptionID, credential, options)
	if err != nil {
		t.Fatal(err)
	}
	return factory
}

func TestAProgramUsesTheSDKAsItDoesWithAKS(t *testing.T) {
	c, factory, ctx := newClusterLater(t, "sdk"), sdk(t), t.Context()
	clusters, pools := factory.NewManagedClustersClient(), factory.NewAgentPoolsClient()
	often := &runtime.PollUntilDoneOptions{Frequency: time.Second}
	creating, err := clusters.BeginCreateOrUpdate(ctx, c.group, c.name, armcontainerservice.ManagedCluster{
		Location: &service.cloud.Location,
		Identity: &armcontainerservice.ManagedClusterIdentity{Type: to.Ptr(armcontainerservice.ResourceIdentityTypeSystemAssigned)},
		Properties: &armcontainerservice.ManagedClusterProperties{DNSPrefix: to.Ptr("sdk"), AgentPoolProfiles: []*armcontainerservice.ManagedClusterAgentPoolProfile{{
			Name: to.Ptr("system"), Count: to.Ptr(int32(1)), VMSize: to.Ptr("Standard_B2s"), Mode: to.Ptr(armcontainerservice.AgentPoolModeSystem),
		}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	created, err := creating.PollUntilDone(ctx, often)
	if err != nil || *created.Properties.ProvisioningState != "Succeeded" {
		t.Fatalf("created %+v, %v", created.Properties, err)
	}
	running, err := clusters.BeginRunCommand(ctx, c.group, c.name, armcontainerservice.RunCommandRequest{Command: to.Ptr("kubectl get nodes -o name")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ran, err := running.PollUntilDone(ctx, often)
	if err != nil || *ran.Properties.ExitCode != 0 {
		t.Fatalf("ran %+v, %v", ran.Properties, err)
	}
	machines, err := factory.NewMachinesClient().NewListPager(c.group, c.name, "system", nil).NextPage(ctx)
	if err != nil || len(machines.Value) != 1 || strings.TrimSpace(*ran.Properties.Logs) != "node/"+*machines.Value[0].Name {
		t.Errorf("the command printed %q, the machines are %+v, %v", *ran.Properties.Logs, machines.Value, err)
	}
	adding, err := pools.BeginCreateOrUpdate(ctx, c.group, c.name, "extra", armcontainerservice.AgentPool{
		Properties: &armcontainerservice.ManagedClusterAgentPoolProfileProperties{Count: to.Ptr(int32(0)), VMSize: to.Ptr("Standard_B2s")},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adding.PollUntilDone(ctx, often); err != nil {
		t.Fatal(err)
	}
	sdkViews(t, *created.Properties.NodeResourceGroup)
	deleting, err := clusters.BeginDelete(ctx, c.group, c.name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := deleting.PollUntilDone(ctx, often); err != nil {
		t.Fatal(err)
	}
}
