package frontend_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armsubscriptions"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/history"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// finish plays the cluster's controller: it ends every running operation.
func (r *rig) finish() {
	r.t.Helper()
	cluster := r.cluster()
	for _, op := range cluster.Spec.Operations {
		record := history.Record{ID: op.ID, ResourceID: groupPath + "/providers/Microsoft.ContainerService/managedClusters/demo",
			Verb: op.Verb, Status: meta.OperationSucceeded, StartTime: op.StartTime.Time, EndTime: time.Now(), Caller: op.Caller}
		if err := r.history.Put(record); err != nil {
			r.t.Fatal(err)
		}
	}
	cluster.Spec.Operations = nil
	if err := r.store.Update(r.t.Context(), cluster); err != nil {
		r.t.Fatal(err)
	}
}

// ready plays the cluster's controller: the control plane is up.
func (r *rig) ready() {
	r.t.Helper()
	cluster := r.cluster()
	files, err := pki.NewCluster(pki.ClusterNames{FQDN: "demo.hcp.local.berth.internal",
		Address: netip.MustParseAddr("198.18.0.16"), ServiceAddress: netip.MustParseAddr("10.0.0.1")}, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.store.Create(r.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: naming.SystemNamespace, Name: naming.Credentials(cluster.Spec.Incarnation)}, Data: files,
	}); err != nil {
		r.t.Fatal(err)
	}
	cluster.Status.Address, cluster.Status.FQDN, cluster.Status.CurrentKubernetesVersion = "198.18.0.16", "demo-abcdefgh.hcp.local.berth.internal", "1.35.4"
	if err := r.store.Status().Update(r.t.Context(), cluster); err != nil {
		r.t.Fatal(err)
	}
}

func sdkCluster() armcontainerservice.ManagedCluster {
	return armcontainerservice.ManagedCluster{
		Location: to.Ptr("local"), Tags: map[string]*string{"who": to.Ptr("me")},
		Identity: &armcontainerservice.ManagedClusterIdentity{Type: to.Ptr(armcontainerservice.ResourceIdentityTypeSystemAssigned)},
		Properties: &armcontainerservice.ManagedClusterProperties{
			DNSPrefix: to.Ptr("demo"),
			AgentPoolProfiles: []*armcontainerservice.ManagedClusterAgentPoolProfile{{
				Name: to.Ptr("nodepool1"), Count: to.Ptr[int32](1), VMSize: to.Ptr("standard_ds2_v2"), Mode: to.Ptr(armcontainerservice.AgentPoolModeSystem),
			}},
			LinuxProfile: &armcontainerservice.LinuxProfile{AdminUsername: to.Ptr("azureuser"), SSH: &armcontainerservice.SSHConfiguration{
				PublicKeys: []*armcontainerservice.SSHPublicKey{{KeyData: to.Ptr("ssh-rsa AAAA")}},
			}},
		},
	}
}

// polled polls an operation that runs, plays what ends it, and polls to its end.
func polled[T any](t *testing.T, poller *runtime.Poller[T], ends func()) (T, error) {
	t.Helper()
	if _, err := poller.Poll(t.Context()); err != nil || poller.Done() {
		t.Fatalf("an operation that nobody has ended is over: %t, %v", poller.Done(), err)
	}
	ends()
	return poller.PollUntilDone(t.Context(), &runtime.PollUntilDoneOptions{Frequency: 50 * time.Millisecond})
}

func TestTheSDKMakesScalesAndDeletesAClusterFromTokenToLastPoll(t *testing.T) {
	t.Parallel() // it waits more than it works
	r := newRig(t)
	ctx := t.Context()
	credential, err := r.credential(ownerID)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := armresources.NewResourceGroupsClient(subscriptionID, credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	group, err := groups.CreateOrUpdate(ctx, "rg", armresources.ResourceGroup{Location: to.Ptr("Local")}, nil)
	if err != nil || *group.Properties.ProvisioningState != "Succeeded" {
		t.Fatalf("group: %v %v", group, err)
	}
	clusters, err := armcontainerservice.NewManagedClustersClient(subscriptionID, credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	creation, err := clusters.BeginCreateOrUpdate(ctx, "rg", "demo", sdkCluster(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if op := r.cluster().Operation("cluster"); op == nil || op.Verb != meta.VerbCreate || op.Generation != 1 || op.Caller != ownerObject {
		t.Fatalf("the running operation is %+v", op)
	}
	if _, err := clusters.ListClusterAdminCredentials(ctx, "rg", "demo", nil); err == nil || !strings.Contains(err.Error(), "not there yet") {
		t.Fatalf("credentials of a cluster that is being created: %v", err)
	}
	created, err := polled(t, creation, func() { r.ready(); r.finish() })
	if err != nil {
		t.Fatal(err)
	}
	properties := created.Properties
	if *properties.ProvisioningState != "Succeeded" || *properties.NodeResourceGroup != "MC_rg_demo_local" || *properties.CurrentKubernetesVersion != "1.35.4" ||
		*properties.AgentPoolProfiles[0].VMSize != "Standard_DS2_v2" || *properties.LinuxProfile.AdminUsername != "azureuser" || created.ETag == nil {
		t.Errorf("the created cluster is %+v", properties)
	}
	checkKubeconfig(t, clusters)

	// What GET answers can be sent back: tools change it and PUT it.
	created.Properties.AgentPoolProfiles[0].Count = to.Ptr[int32](2)
	scaling, err := clusters.BeginCreateOrUpdate(ctx, "rg", "demo", created.ManagedCluster, nil)
	if err != nil {
		t.Fatal(err)
	}
	if op := r.cluster().Operation("cluster"); op.Verb != meta.VerbScale {
		t.Errorf("the verb is %s, want Scale", op.Verb)
	}
	if _, err := polled(t, scaling, r.finish); err != nil {
		t.Fatal(err)
	}
	poolLifecycle(t, r)

	deleteCluster(t, r, clusters)
	removal, err := groups.BeginDelete(ctx, "rg", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := polled(t, removal, func() { r.endOperations() }); err != nil {
		t.Fatal(err)
	}
}

func deleteCluster(t *testing.T, r *rig, clusters *armcontainerservice.ManagedClustersClient) {
	t.Helper()
	ctx := t.Context()
	deletion, err := clusters.BeginDelete(ctx, "rg", "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := clusters.Get(ctx, "rg", "demo", nil)
	if err != nil || *got.Properties.ProvisioningState != "Deleting" {
		t.Errorf("the deleted cluster is %v %v", got.Properties, err)
	}
	if _, err := polled(t, deletion, func() { r.deleted(r.cluster()) }); err != nil {
		t.Fatal(err)
	}
}

// deleted plays the controllers: the cluster is gone and its operation has ended.
func (r *rig) deleted(cluster *containerservicev1alpha1.ManagedCluster) {
	cluster.Finalizers = nil
	if err := r.store.Update(context.Background(), cluster); err != nil {
		r.t.Error(err)
	}
	r.endOperations()
}

func (r *rig) endOperations() {
	var list resourcesv1alpha1.OperationList
	if err := r.store.List(context.Background(), &list); err != nil {
		r.t.Error(err)
	}
	for i := range list.Items {
		op := &list.Items[i]
		op.Status = resourcesv1alpha1.OperationState{Status: meta.OperationSucceeded, EndTime: &metav1.Time{Time: time.Now()}}
		if err := r.store.Status().Update(context.Background(), op); err != nil {
			r.t.Error(err)
		}
	}
}

func checkKubeconfig(t *testing.T, clusters *armcontainerservice.ManagedClustersClient) {
	t.Helper()
	credentials, err := clusters.ListClusterAdminCredentials(t.Context(), "rg", "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.Load(credentials.Kubeconfigs[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	user := config.AuthInfos["clusterAdmin_rg_demo"]
	if config.Clusters["demo"] == nil || config.Clusters["demo"].Server != "https://198.18.0.16:443" || user == nil || config.CurrentContext != "demo" {
		t.Fatalf("the kubeconfig is %+v", config)
	}
	block, _ := pem.Decode(user.ClientCertificateData)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil || certificate.Subject.CommonName != "masterclient" || certificate.Subject.Organization[0] != "system:masters" {
		t.Errorf("the client certificate is %v %v", certificate.Subject, err)
	}
}

func poolLifecycle(t *testing.T, r *rig) {
	t.Helper()
	ctx := t.Context()
	credential, err := r.credential(ownerID)
	if err != nil {
		t.Fatal(err)
	}
	pools, err := armcontainerservice.NewAgentPoolsClient(subscriptionID, credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	adding, err := pools.BeginCreateOrUpdate(ctx, "rg", "demo", "user1", armcontainerservice.AgentPool{Properties: &armcontainerservice.ManagedClusterAgentPoolProfileProperties{
		Count: to.Ptr[int32](1), VMSize: to.Ptr("Standard_B2s"), UpgradeSettings: &armcontainerservice.AgentPoolUpgradeSettings{MaxSurge: to.Ptr("33%")},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	added, err := polled(t, adding, r.finish)
	if err != nil || *added.Properties.Mode != armcontainerservice.AgentPoolModeUser || *added.Properties.UpgradeSettings.MaxSurge != "33%" || *added.Properties.MaxPods != 250 {
		t.Fatalf("the added pool is %+v %v", added.Properties, err)
	}
	list, err := pools.NewListPager("rg", "demo", nil).NextPage(ctx)
	if err != nil || len(list.Value) != 2 {
		t.Fatalf("pools: %v %v", list.Value, err)
	}
	removing, err := pools.BeginDelete(ctx, "rg", "demo", "user1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := polled(t, removing, r.finish); err != nil {
		t.Fatal(err)
	}
	if _, err := pools.Get(ctx, "rg", "demo", "user1", nil); err == nil {
		t.Error("the deleted pool is still there")
	}
}

func TestTheSDKReadsTenantSubscriptionGroupsAndCatalog(t *testing.T) {
	r := made(t)
	ctx := t.Context()
	credential, err := r.credential(ownerID)
	if err != nil {
		t.Fatal(err)
	}
	subscriptions, err := armsubscriptions.NewClient(credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	page, err := subscriptions.NewListPager(nil).NextPage(ctx)
	if err != nil || len(page.Value) != 1 || *page.Value[0].SubscriptionID != subscriptionID {
		t.Fatalf("subscriptions: %v %v", page.Value, err)
	}
	tenants, err := armsubscriptions.NewTenantsClient(credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := tenants.NewListPager(nil).NextPage(ctx)
	if err != nil || len(tenant.Value) != 1 || *tenant.Value[0].TenantID != tenantID {
		t.Errorf("tenants: %v %v", tenant.Value, err)
	}
	locations, err := subscriptions.NewListLocationsPager(subscriptionID, nil).NextPage(ctx)
	if err != nil || len(locations.Value) != 1 || *locations.Value[0].Name != "local" {
		t.Errorf("locations: %v %v", locations.Value, err)
	}
	providers, err := armresources.NewProvidersClient(subscriptionID, credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	registered, err := providers.Register(ctx, "microsoft.containerservice", nil)
	if err != nil || *registered.RegistrationState != "Registered" || len(registered.ResourceTypes) == 0 {
		t.Errorf("registering: %v %v", registered, err)
	}
	clusters, err := armcontainerservice.NewManagedClustersClient(subscriptionID, credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	versions, err := clusters.ListKubernetesVersions(ctx, "local", nil)
	if err != nil || len(versions.Values) < 2 {
		t.Fatalf("versions: %v %v", versions.Values, err)
	}
	for _, minor := range versions.Values {
		if *minor.IsDefault != (*minor.Version == "1.35") {
			t.Errorf("version %s: is the default: %t", *minor.Version, *minor.IsDefault)
		}
	}
	all, err := clusters.NewListPager(nil).NextPage(ctx)
	if err != nil || len(all.Value) != 1 || *all.Value[0].Name != "demo" {
		t.Errorf("clusters: %v %v", all.Value, err)
	}
	if profile, err := clusters.GetUpgradeProfile(ctx, "rg", "demo", nil); err != nil || *profile.Properties.ControlPlaneProfile.KubernetesVersion != "1.35.4" {
		t.Errorf("upgrade profile: %v %v", profile, err)
	}
	tagged, err := clusters.BeginUpdateTags(ctx, "rg", "demo", armcontainerservice.TagsObject{Tags: map[string]*string{"a": to.Ptr("b")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := tagged.PollUntilDone(ctx, nil); err != nil || *done.Tags["a"] != "b" {
		t.Errorf("tags: %v %v", done.Tags, err)
	}
	resources, err := armresources.NewClient(subscriptionID, credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	inGroup, err := resources.NewListByResourceGroupPager("rg", nil).NextPage(ctx)
	if err != nil || len(inGroup.Value) != 1 || *inGroup.Value[0].Type != "Microsoft.ContainerService/managedClusters" {
		t.Errorf("resources: %v %v", inGroup.Value, err)
	}
}

func TestTheSDKKeepsResourceGroups(t *testing.T) {
	t.Parallel() // it waits more than it works
	r := newRig(t)
	ctx := t.Context()
	credential, err := r.credential(ownerID)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := armresources.NewResourceGroupsClient(subscriptionID, credential, r.options())
	if err != nil {
		t.Fatal(err)
	}
	if exists, err := groups.CheckExistence(ctx, "RG-1", nil); err != nil || exists.Success {
		t.Errorf("a group that is not there: %v %v", exists, err)
	}
	for _, name := range []string{"RG-1", "rg-2", "rg-3"} {
		if _, err := groups.CreateOrUpdate(ctx, name, armresources.ResourceGroup{Location: to.Ptr("local"), Tags: map[string]*string{"n": to.Ptr(name)}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if exists, err := groups.CheckExistence(ctx, "rg-1", nil); err != nil || !exists.Success {
		t.Errorf("a group in another casing: %v %v", exists, err)
	}
	if got, err := groups.Get(ctx, "rg-1", nil); err != nil || *got.Name != "RG-1" || *got.Type != "Microsoft.Resources/resourceGroups" {
		t.Errorf("the group keeps its casing: %v %v", got, err)
	}
	if patched, err := groups.Update(ctx, "rg-2", armresources.ResourceGroupPatchable{Tags: map[string]*string{"only": to.Ptr("this")}}, nil); err != nil || len(patched.Tags) != 1 {
		t.Errorf("replacing tags: %v %v", patched.Tags, err)
	}
	var names []string
	pager := groups.NewListPager(&armresources.ResourceGroupsClientListOptions{Top: to.Ptr[int32](2)})
	for pages := 0; pager.More(); pages++ {
		page, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range page.Value {
			names = append(names, *group.Name)
		}
	}
	if got := strings.Join(names, " "); got != "RG-1 rg-2 rg-3" {
		t.Errorf("the pages hold %s", got)
	}
	filtered, err := groups.NewListPager(&armresources.ResourceGroupsClientListOptions{Filter: to.Ptr("tagName eq 'n' and tagValue eq 'rg-3'")}).NextPage(ctx)
	if err != nil || len(filtered.Value) != 1 || *filtered.Value[0].Name != "rg-3" {
		t.Errorf("filtered: %v %v", filtered.Value, err)
	}
}
