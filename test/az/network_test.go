//go:build e2e

package az

import (
	"strings"
	"testing"
)

// makeNetworks does with networks alone what people do before they put a cluster
// into one.
func makeNetworks(t *testing.T) {
	az(t, "group create -n net -l local -o none")
	expect(t, "Succeeded 10.50.0.0/16 web", "network vnet create -g net -n shop --address-prefixes 10.50.0.0/16 --subnet-name web --subnet-prefixes 10.50.0.0/24"+
		" --query [newVNet.provisioningState,newVNet.addressSpace.addressPrefixes[0],newVNet.subnets[0].name] -o tsv")
	az(t, "network nsg create -g net -n guard -o none")
	const rule = "network nsg rule create -g net --nsg-name guard --access Allow --protocol Tcp --destination-port-ranges 80 443 --priority 100 -o none -n "
	az(t, rule+"web")
	refused(t, "(SecurityRuleConflict) Security rule other conflicts with rule web.", rule+"other")
	expect(t, "110", "network nsg rule update -g net --nsg-name guard -n web --priority 110 --query priority -o tsv")
	expect(t, "AllowVnetInBound DenyAllInBound", "network nsg show -g net -n guard --query [defaultSecurityRules[0].name,defaultSecurityRules[2].name] -o tsv")
	az(t, "network route-table create -g net -n way -o none")
	expect(t, "VirtualAppliance", "network route-table route create -g net --route-table-name way -n out --address-prefix 10.99.0.0/16"+
		" --next-hop-type VirtualAppliance --next-hop-ip-address 10.50.1.9 --query nextHopType -o tsv")
	expect(t, "10.50.1.0/24", "network vnet subnet create -g net --vnet-name shop -n db --address-prefixes 10.50.1.0/24 --network-security-group guard --query addressPrefix -o tsv")
	refused(t, "(InvalidRouteTable)", "network vnet subnet update -g net --vnet-name shop -n db --route-table way")
	az(t, "network vnet subnet update -g net --vnet-name shop -n web --route-table way -o none")
	refused(t, "it is in use by", "network nsg delete -g net -n guard")
	refused(t, "virtualNetworks/shop/subnets/web", "network route-table delete -g net -n way")
	refused(t, "(NetcfgSubnetRangesOverlap)", "network vnet subnet create -g net --vnet-name shop -n third --address-prefixes 10.50.1.128/25")
	refused(t, "(InvalidCIDRNotation)", "network vnet create -g net -n bad --address-prefixes 10.60.0.1/16")
	expect(t, "false 10.50.0.4", "network vnet check-ip-address -g net -n shop --ip-address 10.50.0.3 --query [available,availableIPAddresses[0]] -o tsv")
	if printed := az(t, "network vnet list -g net -o table"); !strings.Contains(printed, "shop") || !strings.Contains(printed, "10.50.0.0/16") {
		t.Errorf("the networks: %s", printed)
	}
	address := az(t, "network public-ip create -g net -n door --sku Standard --query publicIp.ipAddress -o tsv")
	expect(t, address, "network public-ip show -g net -n door --query ipAddress -o tsv")
	expect(t, "30", "network public-ip prefix create -g net -n row --length 30 --query prefixLength -o tsv")
	az(t, "network public-ip create -g net -n first --sku Standard --public-ip-prefix row -o none")
	refused(t, "publicIPAddresses/first", "network public-ip prefix delete -g net -n row")
	az(t, "network vnet subnet delete -g net --vnet-name shop -n db")
	az(t, "network nsg delete -g net -n guard")
	expect(t, "door first row shop way", "resource list -g net --query sort([].name) -o tsv")
	az(t, "group delete -n net --yes")
}

// lookIntoNodeGroup reads what the cluster one made for itself, and tries to
// take it away.
func lookIntoNodeGroup(t *testing.T) {
	const in = " -g MC_apps_one_local"
	types := az(t, "resource list"+in+" --query [].type -o tsv")
	for _, kind := range []string{
		"Microsoft.Compute/virtualMachineScaleSets", "Microsoft.Network/loadBalancers", "Microsoft.Network/networkInterfaces", "Microsoft.Network/networkSecurityGroups",
		"Microsoft.Network/publicIPAddresses", "Microsoft.Network/routeTables", "Microsoft.Network/virtualNetworks",
	} {
		if !strings.Contains(types, kind) {
			t.Errorf("the node resource group has no %s: %s", kind, types)
		}
	}
	expect(t, "aksOutboundRule", "network lb show"+in+" -n kubernetes --query outboundRules[0].name -o tsv")
	expect(t, "aks-subnet", "network vnet list"+in+" --query [].subnets[0].name -o tsv")
	group := az(t, "network nsg list"+in+" --query [0].name -o tsv")
	for _, line := range []string{"group delete --yes -n MC_apps_one_local", "network nsg delete" + in + " -n " + group} {
		refused(t, "(DenyAssignmentAuthorizationFailed)", line)
	}
}
