//go:build e2e

package az

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// step is a part of the story that others may run beside.
type step struct {
	name string
	run  func(*testing.T)
}

// together runs steps side by side and waits for all of them.
func together(t *testing.T, when string, steps ...step) {
	t.Helper()
	if !t.Run(when, func(t *testing.T) {
		for _, s := range steps {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				s.run(t)
			})
		}
	}) {
		t.FailNow() // what follows needs what these made
	}
}

func TestAPersonWhoKnowsAKSUsesAz(t *testing.T) {
	az(t, "group create -n apps -l local --tags a=b")
	together(t, "while clusters are made",
		step{"one has its defaults", func(t *testing.T) {
			expect(t, "Succeeded SystemAssigned", "aks create -g apps -n one -c 1 -s Standard_B2s --no-ssh-key --tags team=web --query [provisioningState,identity.type] -o tsv")
		}},
		step{"one has what people choose", createAsChosen},
		step{"the subscription is looked at", lookAround},
		step{"networks are made, changed and deleted", makeNetworks},
	)
	together(t, "once they are there",
		step{"a cluster is shown in every output", show},
		step{"kubectl works with both credentials", useKubectl},
		step{"what a cluster made for itself is shown and kept", lookIntoNodeGroup},
		step{"what to upgrade to is listed", listUpgrades},
		step{"commands run in the cluster with attached files", runCommands},
		step{"the credential for monitoring reads and changes nothing", monitor},
		step{"a role that is given and taken takes effect", giveRole},
		step{"an identity is kept while a cluster acts as it", keepIdentity},
		step{"pools, counts and tags change", change},
		step{"planned work gets its windows", plan},
		step{"who asked is told", activity},
		step{"what cannot be is refused with the reason", refuse},
	)
	t.Run("a cluster stops and starts, and a start is given up", power)
	t.Run("the group goes with all that is in it", func(t *testing.T) {
		az(t, "group delete -n apps --yes")
		expect(t, "false", "group exists -n apps")
		expect(t, "", "aks list --query [].name -o tsv")
	})
}

// createAsChosen makes the cluster two, which acts as the identity worker, with
// the options that people use.
func createAsChosen(t *testing.T) {
	key := filepath.Join(t.TempDir(), "id_rsa.pub")
	if err := os.WriteFile(key, []byte("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 someone@example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	identity := az(t, "identity create -g apps -n worker --tags a=b --query id -o tsv")
	expect(t, "UserAssigned 1.35.4 pool1 60 second 10.245.0.0/16", "aks create -g apps -n two -c 1 -s Standard_B2s --assign-identity "+identity+
		" --kubernetes-version 1.35.4 --dns-name-prefix second --nodepool-name pool1 --nodepool-labels a=b --nodepool-tags c=d --max-pods 60 --node-osdisk-size 64"+
		" --network-plugin kubenet --pod-cidr 10.245.0.0/16 --service-cidr 10.1.0.0/16 --dns-service-ip 10.1.0.10 --load-balancer-sku standard"+
		" --vm-set-type VirtualMachineScaleSets --admin-username someone --ssh-key-value "+key+" --yes"+
		" --query [identity.type,currentKubernetesVersion,agentPoolProfiles[0].name,agentPoolProfiles[0].maxPods,dnsPrefix,networkProfile.podCidr] -o tsv")
}

// lookAround asks for what is there before any cluster is.
func lookAround(t *testing.T) {
	expect(t, "berth Enabled servicePrincipal", "account show --query [environmentName,state,user.type] -o tsv")
	expect(t, "local", "account list-locations --query [].name -o tsv")
	expect(t, "true", "group exists -n apps")
	expect(t, "d", "group update -n apps --tags c=d --query tags.c -o tsv")
	expect(t, "apps", "group list --tag c=d --query [].name -o tsv")
	if table := az(t, "aks get-versions -l local -o table"); !strings.Contains(table, "1.35.4") {
		t.Errorf("versions:\n%s", table)
	}
	expect(t, "Registered", "provider show -n Microsoft.ContainerService --query registrationState -o tsv")
	az(t, "provider register -n Microsoft.ContainerService --wait")
	expect(t, "apps", "rest --method get --url /subscriptions/{subscriptionId}/resourcegroups?api-version=2021-04-01 --query value[?name=='apps'].name -o tsv")
}

// show prints what is there in every form that az has.
func show(t *testing.T) {
	for format, starts := range map[string]string{"json": "", "jsonc": "", "table": "Name", "yaml": "", "yamlc": "", "tsv": "", "none": ""} {
		for _, command := range []string{"aks list", "aks show -g apps -n one"} {
			printed := az(t, command+" -o "+format)
			if strings.HasPrefix(format, "json") {
				starts = map[bool]string{true: "[", false: "{"}[command == "aks list"]
			}
			if !strings.HasPrefix(printed, starts) || format != "none" != strings.Contains(printed, "one") {
				t.Errorf("%s -o %s printed %q", command, format, printed)
			}
		}
	}
	expect(t, "one", "resource list -g apps --resource-type Microsoft.ContainerService/managedClusters --query [?name=='one'].name -o tsv")
	expect(t, "one", "resource show -g apps -n one --resource-type Microsoft.ContainerService/managedClusters --query name -o tsv")
}

// useKubectl reaches the cluster as az says.
func useKubectl(t *testing.T) {
	for _, admin := range []string{"", " --admin"} {
		file := filepath.Join(t.TempDir(), "kubeconfig")
		az(t, "aks get-credentials -g apps -n one -f "+file+admin)
		nodes, err := service.run(service.kubectl, "--kubeconfig", file, "get", "nodes", "-o", "name")
		if err != nil || !strings.Contains(nodes, "node/aks-nodepool1-") {
			t.Errorf("nodes%s: %q, %v", admin, nodes, err)
		}
	}
}

// listUpgrades asks for the versions that clusters and pools may go on to.
func listUpgrades(t *testing.T) {
	if table := az(t, "aks get-upgrades -g apps -n one -o table"); !strings.Contains(table, "1.35.4") || !strings.Contains(table, "1.36.") {
		t.Errorf("upgrades:\n%s", table)
	}
	expect(t, "1.35.4", "aks nodepool get-upgrades -g apps --cluster-name one --nodepool-name nodepool1 --query kubernetesVersion -o tsv")
	versions := "rest --method get --url /subscriptions/{subscriptionId}/resourceGroups/apps/providers/Microsoft.ContainerService/managedClusters/one/availableAgentPoolVersions?api-version=2022-11-01"
	expect(t, "1.35.4", versions+" --query properties.agentPoolVersions[?default].kubernetesVersion -o tsv")
}

// refuse asks for what a subscription, a cluster or this service cannot have.
func refuse(t *testing.T) {
	refused(t, "PropertyNotSupported", "aks create -g apps -n three --no-ssh-key --enable-ultra-ssd")
	refused(t, "ResourceNotFound", "aks show -g apps -n three")
	refused(t, "Snapshots is not built yet", "aks snapshot list")
	refused(t, "cannot be unregistered: the subscription has", "provider unregister -n Microsoft.ContainerService")
}
