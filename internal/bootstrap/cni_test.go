package bootstrap

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// flat is a node whose pods have addresses of a subnet.
func flat(addresses ...string) Node {
	node := example()
	node.PodCIDR, node.ClusterPodCIDR = netip.Prefix{}, netip.Prefix{}
	node.PodSubnet = netip.MustParsePrefix("10.240.0.0/16")
	for _, address := range addresses {
		node.PodAddresses = append(node.PodAddresses, netip.MustParseAddr(address))
	}
	return node
}

func TestPodsOfASubnetGetExactlyTheAddressesOfTheirNode(t *testing.T) {
	files, _, err := Machine(flat("10.240.0.5", "10.240.0.6", "10.240.0.7", "10.240.0.90", "10.240.1.2", "10.240.1.3"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Plugins []struct {
			IPAM struct {
				Ranges [][]struct{ Subnet, RangeStart, RangeEnd, Gateway string }
			}
		}
	}
	if err := json.Unmarshal(files[cniPendingFile].Content, &config); err != nil {
		t.Fatal(err)
	}
	ranges := config.Plugins[0].IPAM.Ranges
	if len(ranges) != 1 { // each list in it gives every pod an address
		t.Fatalf("ranges: %+v", ranges)
	}
	var got []string
	for _, r := range ranges[0] {
		if r.Subnet != "10.240.0.0/16" || r.Gateway != "10.240.0.2" {
			t.Errorf("range: %+v", r)
		}
		got = append(got, r.RangeStart+"-"+r.RangeEnd)
	}
	if want := []string{"10.240.0.5-10.240.0.7", "10.240.0.90-10.240.0.90", "10.240.1.2-10.240.1.3"}; !slices.Equal(got, want) {
		t.Errorf("ranges %v, want %v", got, want)
	}
	if proxy := string(files[proxyConfigFile].Content); strings.Contains(proxy, "clusterCIDR") || !strings.Contains(proxy, `"interfaceNamePrefix": "veth"`) {
		t.Errorf("kube-proxy does not tell pods by their links: %s", proxy)
	}
}

func TestANodeWhoseOwnerBringsThePluginGetsNone(t *testing.T) {
	node := example()
	node.BringsCNI = true
	files, components, err := Machine(node)
	if err != nil {
		t.Fatal(err)
	}
	for path := range files {
		if strings.HasPrefix(path, "/etc/cni") {
			t.Errorf("there is %s", path)
		}
	}
	for _, component := range components {
		if component.Name == "open-for-pods" {
			t.Error("something waits for a file that never comes")
		}
	}
}

func TestAddressesOutsideOfTheirSubnetAreRefused(t *testing.T) {
	if _, _, err := Machine(flat("10.240.0.5", "10.241.0.5")); err == nil || !strings.Contains(err.Error(), "10.241.0.5") {
		t.Error(err)
	}
	if _, _, err := Machine(flat()); err == nil {
		t.Error("a node without addresses for pods was accepted")
	}
}
