//go:build e2e

package az

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestAPersonWhoKnowsAKSUsesAz(t *testing.T) {
	expect(t, "berth Enabled servicePrincipal", "account show --query [environmentName,state,user.type] -o tsv")
	expect(t, "local", "account list-locations --query [].name -o tsv")
	az(t, "group create -n apps -l local --tags a=b")
	expect(t, "true", "group exists -n apps")
	expect(t, "d", "group update -n apps --tags c=d --query tags.c -o tsv")
	if table := az(t, "aks get-versions -l local -o table"); !strings.Contains(table, "1.35.4") {
		t.Errorf("versions:\n%s", table)
	}
	expect(t, "Registered", "provider show -n Microsoft.ContainerService --query registrationState -o tsv")
	az(t, "provider register -n Microsoft.ContainerService --wait")

	az(t, "aks create -g apps -n one -c 1 -s Standard_B2s --no-ssh-key --tags team=web")
	az(t, "aks create -g apps -n two -c 1 -s Standard_B2s --no-ssh-key --kubernetes-version 1.35.4 --enable-managed-identity "+
		"--network-plugin kubenet --nodepool-name pool1 --max-pods 60 --node-osdisk-size 64 --nodepool-labels a=b --pod-cidr 10.245.0.0/16 --no-wait")
	t.Run("what is there is shown in every output", func(t *testing.T) {
		expect(t, "one two", "aks list --query sort([].name) -o tsv")
		expect(t, "one two", "resource list -g apps --resource-type Microsoft.ContainerService/managedClusters --query sort([].name) -o tsv")
		expect(t, "one", "resource list --tag team=web --query [].name -o tsv")
		expect(t, "Succeeded", "resource show -g apps -n one --resource-type Microsoft.ContainerService/managedClusters --query properties.provisioningState -o tsv")
		if table := az(t, "aks get-upgrades -g apps -n one -o table"); !strings.Contains(table, "1.35.4") {
			t.Errorf("upgrades:\n%s", table)
		}
		expect(t, "apps", "rest --method get --url /subscriptions/{subscriptionId}/resourcegroups?api-version=2021-04-01 --query value[].name -o tsv")
	})
	t.Run("kubectl works with both credentials", func(t *testing.T) {
		for _, admin := range []string{"", " --admin"} {
			file := filepath.Join(t.TempDir(), "kubeconfig")
			az(t, "aks get-credentials -g apps -n one -f "+file+admin)
			nodes, err := service.run(service.kubectl, "--kubeconfig", file, "get", "nodes", "-o", "name")
			if err != nil || strings.Count(nodes, "node/") != 1 {
				t.Errorf("nodes%s: %q, %v", admin, nodes, err)
			}
		}
	})
	t.Run("pools and tags change", func(t *testing.T) {
		const pool = " -g apps --cluster-name one -n extra"
		az(t, "aks nodepool add"+pool+" -c 1 -s Standard_B2s --labels tier=extra --mode User")
		expect(t, "2", "aks nodepool scale"+pool+" -c 2 --query count -o tsv")
		expect(t, "2 Succeeded", "aks nodepool show"+pool+" --query [count,provisioningState] -o tsv")
		expect(t, "extra nodepool1", "aks nodepool list -g apps --cluster-name one --query sort([].name) -o tsv")
		az(t, "aks nodepool delete"+pool)
		az(t, "aks scale -g apps -n one --nodepool-name nodepool1 -c 2 --no-wait")
		az(t, "aks wait -g apps -n one --updated --interval 1")
		expect(t, "shop", "aks update -g apps -n one --tags team=shop --query tags.team -o tsv")
	})
	operate(t)
	t.Run("what is not built is refused with the reason", func(t *testing.T) {
		refused(t, "PropertyNotSupported", "aks create -g apps -n three --no-ssh-key --network-plugin azure")
		refused(t, "ResourceNotFound", "aks show -g apps -n three")
	})
	t.Run("clusters and the group go", func(t *testing.T) {
		az(t, "aks wait -g apps -n two --created --interval 1")
		az(t, "aks delete -g apps -n two --yes")
		expect(t, "one", "aks list --query [].name -o tsv")
		az(t, "group delete -n apps --yes")
		expect(t, "false", "group exists -n apps")
	})
}
