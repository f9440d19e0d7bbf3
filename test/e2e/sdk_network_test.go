//go:build e2e

package e2e

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/network/armnetwork/v6"
)

// sdkNetworks are the SDK's clients of networks.
func sdkNetworks(t *testing.T) *armnetwork.ClientFactory {
	t.Helper()
	credential, options := sdkCredential(t)
	factory, err := armnetwork.NewClientFactory(service.cloud.SubscriptionID, credential, options)
	if err != nil {
		t.Fatal(err)
	}
	return factory
}

// settled polls an operation that was just begun to its end.
func settled[T any](poller *runtime.Poller[T], err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		ended, err := poller.PollUntilDone(t.Context(), &runtime.PollUntilDoneOptions{Frequency: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return ended
	}
}

// answered is what a call that is no operation came back with.
func answered[T any](answer T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

// pages has a list come page by page and counts what is in it.
func pages[T any](t *testing.T, pager *runtime.Pager[T], count func(T) int) int {
	t.Helper()
	sum := 0
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sum += count(page)
	}
	return sum
}

// code is the code of the error that a call was answered with.
func code(err error) string {
	var answer *azcore.ResponseError
	if errors.As(err, &answer) {
		return answer.ErrorCode
	}
	return ""
}

// gone looks whether what was deleted is not found any more.
func gone[T any](answer T, err error) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		if code(err) != "ResourceNotFound" && code(err) != "NotFound" {
			t.Errorf("what was deleted answers %+v, %v", answer, err)
		}
	}
}

// TestAProgramUsesTheSDKsNetworksAsItDoesWithAzure makes, reads, tags, lists and
// deletes each type of Microsoft.Network that callers make, with the SDK's own models
// and pollers, and has what they refer to hold them.
func TestAProgramUsesTheSDKsNetworksAsItDoesWithAzure(t *testing.T) {
	n, group := sdkNetworks(t), newClusterLater(t, "sdk-networks").group
	guard := sdkGroup(t, n, group)
	way := sdkTable(t, n, group)
	sdkNetwork(t, n, group, guard, way)
	sdkAddresses(t, n, group)

	// Nothing refers to them any more.
	groups, tables := n.NewSecurityGroupsClient(), n.NewRouteTablesClient()
	settled(groups.BeginDelete(t.Context(), group, "guard", nil))(t)
	gone(groups.Get(t.Context(), group, "guard", nil))(t)
	settled(tables.BeginDelete(t.Context(), group, "way", nil))(t)
	gone(tables.Get(t.Context(), group, "way", nil))(t)
	settled(groups.BeginDelete(t.Context(), group, "guard", nil))(t) // 204: it is gone already
}

func sdkGroup(t *testing.T, n *armnetwork.ClientFactory, group string) *armnetwork.SecurityGroup {
	t.Helper()
	ctx, groups, rules := t.Context(), n.NewSecurityGroupsClient(), n.NewSecurityRulesClient()
	rule := func(priority int32, port string) *armnetwork.SecurityRulePropertiesFormat {
		return &armnetwork.SecurityRulePropertiesFormat{
			Access: to.Ptr(armnetwork.SecurityRuleAccessAllow), Direction: to.Ptr(armnetwork.SecurityRuleDirectionInbound), Protocol: to.Ptr(armnetwork.SecurityRuleProtocolTCP),
			Priority: &priority, SourceAddressPrefix: to.Ptr("Internet"), SourcePortRange: to.Ptr("*"), DestinationAddressPrefix: to.Ptr("*"), DestinationPortRange: &port,
		}
	}
	made := settled(groups.BeginCreateOrUpdate(ctx, group, "guard", armnetwork.SecurityGroup{
		Location: &service.cloud.Location, Properties: &armnetwork.SecurityGroupPropertiesFormat{SecurityRules: []*armnetwork.SecurityRule{{Name: to.Ptr("web"), Properties: rule(100, "80")}}},
	}, nil))(t)
	if p := made.Properties; *p.ProvisioningState != armnetwork.ProvisioningStateSucceeded || len(p.SecurityRules) != 1 || len(p.DefaultSecurityRules) != 6 {
		t.Errorf("the group is %+v", p)
	}
	added := settled(rules.BeginCreateOrUpdate(ctx, group, "guard", "tls", armnetwork.SecurityRule{Properties: rule(110, "443")}, nil))(t)
	if *added.Properties.DestinationPortRange != "443" || !strings.HasSuffix(*added.ID, "/networkSecurityGroups/guard/securityRules/tls") {
		t.Errorf("the rule is %+v", added.Properties)
	}
	if got := answered(rules.Get(ctx, group, "guard", "tls", nil))(t); *got.Properties.Priority != 110 || *got.Etag != *added.Etag {
		t.Errorf("the rule that was read is %+v with %s, was %s", got.Properties, *got.Etag, *added.Etag)
	}
	if found := pages(t, rules.NewListPager(group, "guard", nil), func(p armnetwork.SecurityRulesClientListResponse) int { return len(p.Value) }); found != 2 {
		t.Errorf("%d rules are listed", found)
	}
	defaults := n.NewDefaultSecurityRulesClient()
	if found := pages(t, defaults.NewListPager(group, "guard", nil), func(p armnetwork.DefaultSecurityRulesClientListResponse) int { return len(p.Value) }); found != 6 {
		t.Errorf("%d default rules are listed", found)
	}
	if _, err := rules.BeginCreateOrUpdate(ctx, group, "guard", "second", armnetwork.SecurityRule{Properties: rule(110, "8443")}, nil); code(err) != "SecurityRuleConflict" {
		t.Errorf("a second rule of a priority: %v", err)
	}
	settled(rules.BeginDelete(ctx, group, "guard", "tls", nil))(t)
	gone(rules.Get(ctx, group, "guard", "tls", nil))(t)
	if tagged := answered(groups.UpdateTags(ctx, group, "guard", armnetwork.TagsObject{Tags: map[string]*string{"who": to.Ptr("me")}}, nil))(t); *tagged.Tags["who"] != "me" || len(tagged.Properties.SecurityRules) != 1 {
		t.Errorf("tagged %+v", tagged.SecurityGroup)
	}
	if found := pages(t, groups.NewListPager(group, nil), func(p armnetwork.SecurityGroupsClientListResponse) int { return len(p.Value) }); found != 1 {
		t.Errorf("%d groups are listed", found)
	}
	return &made.SecurityGroup
}

func sdkTable(t *testing.T, n *armnetwork.ClientFactory, group string) *armnetwork.RouteTable {
	t.Helper()
	ctx, tables, routes := t.Context(), n.NewRouteTablesClient(), n.NewRoutesClient()
	made := settled(tables.BeginCreateOrUpdate(ctx, group, "way", armnetwork.RouteTable{Location: &service.cloud.Location, Properties: &armnetwork.RouteTablePropertiesFormat{DisableBgpRoutePropagation: to.Ptr(true)}}, nil))(t)
	if *made.Properties.ProvisioningState != armnetwork.ProvisioningStateSucceeded || !*made.Properties.DisableBgpRoutePropagation {
		t.Errorf("the table is %+v", made.Properties)
	}
	hole := armnetwork.Route{Properties: &armnetwork.RoutePropertiesFormat{AddressPrefix: to.Ptr("203.0.113.0/24"), NextHopType: to.Ptr(armnetwork.RouteNextHopTypeNone)}}
	settled(routes.BeginCreateOrUpdate(ctx, group, "way", "hole", hole, nil))(t)
	if got := answered(routes.Get(ctx, group, "way", "hole", nil))(t); *got.Properties.NextHopType != armnetwork.RouteNextHopTypeNone {
		t.Errorf("the route is %+v", got.Properties)
	}
	if found := pages(t, routes.NewListPager(group, "way", nil), func(p armnetwork.RoutesClientListResponse) int { return len(p.Value) }); found != 1 {
		t.Errorf("%d routes are listed", found)
	}
	settled(routes.BeginDelete(ctx, group, "way", "hole", nil))(t)
	gone(routes.Get(ctx, group, "way", "hole", nil))(t)
	if tagged := answered(tables.UpdateTags(ctx, group, "way", armnetwork.TagsObject{Tags: map[string]*string{"who": to.Ptr("me")}}, nil))(t); *tagged.Tags["who"] != "me" {
		t.Errorf("tagged %+v", tagged.RouteTable)
	}
	if found := pages(t, tables.NewListAllPager(nil), func(p armnetwork.RouteTablesClientListAllResponse) int { return len(p.Value) }); found == 0 {
		t.Error("no table is listed")
	}
	return &made.RouteTable
}

func sdkNetwork(t *testing.T, n *armnetwork.ClientFactory, group string, guard *armnetwork.SecurityGroup, way *armnetwork.RouteTable) {
	t.Helper()
	ctx, networks, subnets := t.Context(), n.NewVirtualNetworksClient(), n.NewSubnetsClient()
	made := settled(networks.BeginCreateOrUpdate(ctx, group, "net", armnetwork.VirtualNetwork{Location: &service.cloud.Location, Properties: &armnetwork.VirtualNetworkPropertiesFormat{
		AddressSpace: &armnetwork.AddressSpace{AddressPrefixes: []*string{to.Ptr("10.70.0.0/16")}},
		Subnets:      []*armnetwork.Subnet{{Name: to.Ptr("one"), Properties: &armnetwork.SubnetPropertiesFormat{AddressPrefix: to.Ptr("10.70.0.0/24"), NetworkSecurityGroup: guard}}},
	}}, nil))(t)
	if p := made.Properties; *p.ProvisioningState != armnetwork.ProvisioningStateSucceeded || len(p.Subnets) != 1 || *p.Subnets[0].Properties.NetworkSecurityGroup.ID != *guard.ID {
		t.Errorf("the network is %+v", p)
	}
	// What was read is written back, as programs do that change one property.
	made.Properties.Subnets[0].Properties.RouteTable = way
	if again := settled(networks.BeginCreateOrUpdate(ctx, group, "net", made.VirtualNetwork, nil))(t); *again.Properties.Subnets[0].Properties.RouteTable.ID != *way.ID || *again.Properties.ResourceGUID != *made.Properties.ResourceGUID {
		t.Errorf("the network that was written back is %+v", again.Properties)
	}
	settled(subnets.BeginCreateOrUpdate(ctx, group, "net", "two", armnetwork.Subnet{Properties: &armnetwork.SubnetPropertiesFormat{AddressPrefixes: []*string{to.Ptr("10.70.1.0/24")}}}, nil))(t)
	if got := answered(subnets.Get(ctx, group, "net", "two", nil))(t); *got.Properties.AddressPrefix != "10.70.1.0/24" {
		t.Errorf("the subnet is %+v", got.Properties)
	}
	if found := pages(t, subnets.NewListPager(group, "net", nil), func(p armnetwork.SubnetsClientListResponse) int { return len(p.Value) }); found != 2 {
		t.Errorf("%d subnets are listed", found)
	}
	if free := answered(networks.CheckIPAddressAvailability(ctx, group, "net", "10.70.1.3", nil))(t); *free.Available || *free.AvailableIPAddresses[0] != "10.70.1.4" {
		t.Errorf("an address of the network's own: %+v", free)
	}
	if found := pages(t, networks.NewListUsagePager(group, "net", nil), func(p armnetwork.VirtualNetworksClientListUsageResponse) int { return len(p.Value) }); found != 2 {
		t.Errorf("the usage of %d subnets is listed", found)
	}
	if _, err := n.NewSecurityGroupsClient().BeginDelete(ctx, group, "guard", nil); code(err) != "InUseNetworkSecurityGroupCannotBeDeleted" {
		t.Errorf("deleting a group that a subnet refers to: %v", err)
	}
	settled(subnets.BeginDelete(ctx, group, "net", "two", nil))(t)
	gone(subnets.Get(ctx, group, "net", "two", nil))(t)
	if tagged := answered(networks.UpdateTags(ctx, group, "net", armnetwork.TagsObject{Tags: map[string]*string{"who": to.Ptr("me")}}, nil))(t); *tagged.Tags["who"] != "me" {
		t.Errorf("tagged %+v", tagged.VirtualNetwork)
	}
	if found := pages(t, networks.NewListPager(group, nil), func(p armnetwork.VirtualNetworksClientListResponse) int { return len(p.Value) }); found != 1 {
		t.Errorf("%d networks are listed", found)
	}
	settled(networks.BeginDelete(ctx, group, "net", nil))(t)
	gone(networks.Get(ctx, group, "net", nil))(t)
}

func sdkAddresses(t *testing.T, n *armnetwork.ClientFactory, group string) {
	t.Helper()
	ctx, prefixes, addresses := t.Context(), n.NewPublicIPPrefixesClient(), n.NewPublicIPAddressesClient()
	row := settled(prefixes.BeginCreateOrUpdate(ctx, group, "row", armnetwork.PublicIPPrefix{
		Location: &service.cloud.Location, SKU: &armnetwork.PublicIPPrefixSKU{Name: to.Ptr(armnetwork.PublicIPPrefixSKUNameStandard)},
		Properties: &armnetwork.PublicIPPrefixPropertiesFormat{PrefixLength: to.Ptr[int32](30), PublicIPAddressVersion: to.Ptr(armnetwork.IPVersionIPv4)},
	}, nil))(t)
	if *row.Properties.ProvisioningState != armnetwork.ProvisioningStateSucceeded || !strings.HasSuffix(*row.Properties.IPPrefix, "/30") {
		t.Errorf("the prefix is %+v", row.Properties)
	}
	door := settled(addresses.BeginCreateOrUpdate(ctx, group, "door", armnetwork.PublicIPAddress{
		Location: &service.cloud.Location, SKU: &armnetwork.PublicIPAddressSKU{Name: to.Ptr(armnetwork.PublicIPAddressSKUNameStandard)},
		Properties: &armnetwork.PublicIPAddressPropertiesFormat{PublicIPAllocationMethod: to.Ptr(armnetwork.IPAllocationMethodStatic), PublicIPPrefix: &armnetwork.SubResource{ID: row.ID}},
	}, nil))(t)
	first, _, _ := strings.Cut(*row.Properties.IPPrefix, "/")
	if *door.Properties.ProvisioningState != armnetwork.ProvisioningStateSucceeded || *door.Properties.IPAddress != first {
		t.Errorf("the address is %+v, out of %s", door.Properties, *row.Properties.IPPrefix)
	}
	if again := settled(addresses.BeginCreateOrUpdate(ctx, group, "door", door.PublicIPAddress, nil))(t); *again.Properties.IPAddress != first {
		t.Errorf("the address that was written back is %+v", again.Properties)
	}
	if got := answered(prefixes.Get(ctx, group, "row", nil))(t); len(got.Properties.PublicIPAddresses) != 1 || *got.Properties.PublicIPAddresses[0].ID != *door.ID {
		t.Errorf("the prefix with an address is %+v", got.Properties)
	}
	var answer *azcore.ResponseError
	if _, err := prefixes.BeginDelete(ctx, group, "row", nil); !errors.As(err, &answer) || answer.StatusCode != http.StatusBadRequest || !strings.Contains(err.Error(), *door.ID) {
		t.Errorf("deleting a prefix that has an address: %v", err)
	}
	tags := armnetwork.TagsObject{Tags: map[string]*string{"who": to.Ptr("me")}}
	if tagged := answered(addresses.UpdateTags(ctx, group, "door", tags, nil))(t); *tagged.Tags["who"] != "me" {
		t.Errorf("tagged %+v", tagged.PublicIPAddress)
	}
	if tagged := answered(prefixes.UpdateTags(ctx, group, "row", tags, nil))(t); *tagged.Tags["who"] != "me" {
		t.Errorf("tagged %+v", tagged.PublicIPPrefix)
	}
	listed := pages(t, addresses.NewListPager(group, nil), func(p armnetwork.PublicIPAddressesClientListResponse) int { return len(p.Value) }) +
		pages(t, prefixes.NewListPager(group, nil), func(p armnetwork.PublicIPPrefixesClientListResponse) int { return len(p.Value) })
	if listed != 2 {
		t.Errorf("%d addresses and prefixes are listed", listed)
	}
	settled(addresses.BeginDelete(ctx, group, "door", nil))(t)
	gone(addresses.Get(ctx, group, "door", nil))(t)
	settled(prefixes.BeginDelete(ctx, group, "row", nil))(t)
	gone(prefixes.Get(ctx, group, "row", nil))(t)
}

// sdkViews reads what a cluster made: its balancer and the interface of its node.
func sdkViews(t *testing.T, nodes string) {
	t.Helper()
	ctx, n := t.Context(), sdkNetworks(t)
	balancer := answered(n.NewLoadBalancersClient().Get(ctx, nodes, "kubernetes", nil))(t)
	if *balancer.SKU.Name != armnetwork.LoadBalancerSKUNameStandard || len(balancer.Properties.FrontendIPConfigurations) == 0 || len(balancer.Properties.OutboundRules) == 0 {
		t.Errorf("the balancer is %+v", balancer.Properties)
	}
	interfaces := n.NewInterfacesClient()
	page := answered(interfaces.NewListPager(nodes, nil).NextPage(ctx))(t)
	if len(page.Value) != 1 {
		t.Fatalf("%d interfaces are listed", len(page.Value))
	}
	one := answered(interfaces.Get(ctx, nodes, *page.Value[0].Name, nil))(t)
	if configurations := one.Properties.IPConfigurations; len(configurations) == 0 || *configurations[0].Properties.PrivateIPAddress == "" || *one.ID != *page.Value[0].ID {
		t.Errorf("the interface is %+v", one.Properties)
	}
	if found := pages(t, n.NewLoadBalancersClient().NewListPager(nodes, nil), func(p armnetwork.LoadBalancersClientListResponse) int { return len(p.Value) }); found != 1 {
		t.Errorf("%d balancers are listed", found)
	}
	if _, err := interfaces.BeginDelete(ctx, nodes, *one.Name, nil); code(err) != "DenyAssignmentAuthorizationFailed" {
		t.Errorf("deleting a node's interface by hand: %v", err)
	}
}
