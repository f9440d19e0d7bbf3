package cli

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/naming"
)

func TestTheMachinesOfAPoolAreListedAndShown(t *testing.T) {
	d, on := pooled(t)
	d.must(on("add", "-c", "1", "-s", "Standard_B2s")...)
	var clusters containerservice.ManagedClusterList
	if err := d.management.List(t.Context(), &clusters); err != nil || len(clusters.Items) != 1 {
		t.Fatalf("%d clusters, %v", len(clusters.Items), err)
	}
	cluster := clusters.Items[0]
	for node, pool := range map[string]string{"aks-nodepool1-vmss000000": "nodepool1", "aks-extra-vmss000000": "extra"} {
		profile := cluster.AgentPool(pool)
		if profile == nil {
			t.Fatalf("there is no pool %s", pool)
		}
		machine := &containerservice.Machine{ObjectMeta: metav1.ObjectMeta{Name: node}, Spec: containerservice.MachineSpec{
			ClusterName: cluster.Name, AgentPoolName: naming.AgentPool(profile.Name, profile.Incarnation), NodeName: node, Address: "10.224.0.4",
		}}
		if err := d.management.Create(t.Context(), machine); err != nil {
			t.Fatal(err)
		}
	}
	of := func(verb string, flags ...string) []string {
		return append([]string{"aks", "machine", verb, "-g", "rg", "--cluster-name", "demo"}, flags...)
	}
	table := strings.Split(d.must(of("list", "--nodepool-name", "extra", "-o", "table")...), "\n")
	if strings.Join(strings.Fields(table[0]), " ") != "Name Ip Family" || strings.Join(strings.Fields(table[2]), " ") != "aks-extra-vmss000000 10.224.0.4 IPv4" || len(table) != 4 {
		t.Errorf("list printed\n%s", strings.Join(table, "\n"))
	}
	shown := d.must(of("show", "--nodepool-name", "nodepool1", "--machine-name", "aks-nodepool1-vmss000000", "--query", "[name, network.ipAddresses[0].ip]", "-o", "tsv")...)
	if shown != "aks-nodepool1-vmss000000\n10.224.0.4\n" {
		t.Errorf("show printed %q", shown)
	}
	for _, refused := range [][]string{
		of("show", "--nodepool-name", "extra", "--machine-name", "aks-nodepool1-vmss000000"), of("list", "--nodepool-name", "none"),
	} {
		if _, said, code := d.run(refused...); code != 3 || !strings.Contains(said, "NotFound") {
			t.Errorf("%v: exit code %d: %s", refused, code, said)
		}
	}
}
