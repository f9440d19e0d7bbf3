//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// ownPlugin installs a network plugin's configuration as the owner of a cluster
// would: every node has its range of pods, of which there is one node here.
const ownPlugin = `
apiVersion: v1
kind: ConfigMap
metadata: {name: plugin, namespace: kube-system}
data:
  10-own.conflist: |
    {"cniVersion": "1.0.0", "name": "own", "plugins": [{"type": "ptp", "ipam": {"type": "host-local",
      "ranges": [[{"subnet": "RANGE"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: plugin, namespace: kube-system}
spec:
  selector: {matchLabels: {app: plugin}}
  template:
    metadata: {labels: {app: plugin}}
    spec:
      hostNetwork: true
      tolerations: [{operator: Exists}]
      containers:
        - name: install
          image: berth.internal/test/client:v1
          command: [sh, -c, "cp /config/10-own.conflist /net.d/ && exec /client sleep"]
          volumeMounts: [{name: config, mountPath: /config}, {name: net, mountPath: /net.d}]
      volumes:
        - {name: config, configMap: {name: plugin}}
        - {name: net, hostPath: {path: /etc/cni/net.d, type: DirectoryOrCreate}}
`

// inVirtualNetwork makes a virtual network of a caller's and returns its id.
func inVirtualNetwork(t *testing.T, group string) string {
	t.Helper()
	w := newWire(t)
	id := "/subscriptions/" + service.cloud.SubscriptionID + "/resourceGroups/" + group + "/providers/Microsoft.Network/virtualNetworks/own"
	status, _, answer := w.do(t, http.MethodPut, id+"?api-version=2023-09-01", `{"location": "`+service.cloud.Location+`", "properties": {
		"addressSpace": {"addressPrefixes": ["10.0.0.0/8"]},
		"subnets": [{"name": "one", "properties": {"addressPrefix": "10.240.0.0/24"}}, {"name": "two", "properties": {"addressPrefix": "10.241.0.0/25"}}]}}`)
	if status != http.StatusCreated {
		t.Fatalf("making the virtual network: %d %s", status, answer)
	}
	return id
}

// TestClustersOfAllModesShareANetworkOfTheirOwner has three clusters in one
// virtual network: one whose pods have addresses of its two subnets, an overlay,
// and one whose owner brings the network plugin.
func TestClustersOfAllModesShareANetworkOfTheirOwner(t *testing.T) {
	flat := newClusterLater(t, "networks")
	vnet := inVirtualNetwork(t, flat.group)
	one, two := vnet+"/subnets/one", vnet+"/subnets/two"
	overlay, bare := *flat, *flat
	flat.name, overlay.name, bare.name = "flat", "overlay", "bare"
	flat.kubeconfig, overlay.kubeconfig, bare.kubeconfig = flat.kubeconfig+"-flat", flat.kubeconfig+"-overlay", flat.kubeconfig+"-bare"
	for c, flags := range map[*cluster][]string{
		flat:     {"--network-plugin", "azure", "--vnet-subnet-id", one},
		&overlay: {"--network-plugin", "azure", "--network-plugin-mode", "overlay", "--pod-cidr", "192.168.0.0/17", "--vnet-subnet-id", one},
		&bare:    {"--network-plugin", "none", "--pod-cidr", "192.168.128.0/17", "--vnet-subnet-id", two},
	} {
		must(t, append([]string{"aks", "create", "-g", c.group, "-n", c.name, "-c", "1", "-s", "Standard_B2s", "--no-wait"}, flags...)...)
	}
	for _, c := range []*cluster{flat, &overlay, &bare} {
		must(t, "aks", "wait", "-g", c.group, "-n", c.name, "--created", "--timeout", "240")
		must(t, "aks", "get-credentials", "--admin", "-g", c.group, "-n", c.name, "-f", c.kubeconfig)
	}
	pool := []string{"-g", flat.group, "--cluster-name", flat.name, "-n", "second"}
	must(t, append([]string{"aks", "nodepool", "add", "-c", "1", "-s", "Standard_B2s", "--vnet-subnet-id", two}, pool...)...)
	flat.must(t, "run", "web", "--image=berth.internal/samples/web:v1", "--overrides", `{"spec":{"nodeSelector":{"agentpool":"nodepool1"}}}`)
	flat.must(t, "expose", "pod", "web", "--port=80", "--target-port=8080", "--type=LoadBalancer")
	flat.must(t, "run", "client", "--image=berth.internal/test/client:v1", "--restart=Never", "--overrides", `{"spec":{"nodeSelector":{"agentpool":"second"}}}`, "--command", "--", "/client", "sleep")
	flat.must(t, "wait", "--for=condition=Ready", "pod/web", "pod/client", "--timeout=60s")
	page := "http://" + flat.must(t, "get", "pod", "web", "-o", "jsonpath={.status.podIP}") + ":8080/"

	t.Run("pods have addresses of their nodes' subnets", func(t *testing.T) {
		for name, subnet := range map[string]string{"web": "10.240.0.0/24", "client": "10.241.0.0/25"} {
			text := flat.must(t, "get", "pod", name, "-o", "jsonpath={.status.podIP}")
			if address, err := netip.ParseAddr(text); err != nil || !netip.MustParsePrefix(subnet).Contains(address) {
				t.Errorf("%s has the address %q, want one of %s", name, text, subnet)
			}
		}
	})
	t.Run("pods of the two subnets reach each other, services and the API server", func(t *testing.T) {
		public := flat.eventually(t, 30*time.Second, notEmpty, "get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
		for _, url := range []string{page, "http://web/", "http://" + public + "/"} {
			flat.eventually(t, 20*time.Second, notEmpty, "exec", "client", "--", "/client", "get", url)
		}
		flat.must(t, "exec", "client", "--", "/client", "connect", "kubernetes.default.svc:443")
	})
	t.Run("pods of an overlay in the network reach them, too", func(t *testing.T) {
		overlay.client(t, "client")
		overlay.eventually(t, 20*time.Second, notEmpty, "exec", "client", "--", "/client", "get", page)
	})
	t.Run("nodes wait for the plugin of their owner and are ready with it", func(t *testing.T) {
		if ready := bare.must(t, "get", "nodes", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`); ready != "False" {
			t.Errorf("before there is a plugin, the node is ready: %s", ready)
		}
		bare.applyText(t, strings.Replace(ownPlugin, "RANGE", bare.must(t, "get", "nodes", "-o", "jsonpath={.items[0].spec.podCIDR}"), 1))
		bare.must(t, "wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")
		bare.client(t, "client")
		bare.eventually(t, 20*time.Second, notEmpty, "exec", "client", "--", "/client", "get", page)
	})
	t.Run("more nodes than the subnet has room for are refused with the figures", func(t *testing.T) {
		said := refused(t, append([]string{"aks", "nodepool", "scale", "-c", "3"}, pool...)...)
		if want := "Pre-allocated IPs 124 exceeds IPs available 121"; !strings.Contains(said, "InsufficientSubnetSize") || !strings.Contains(said, want) {
			t.Errorf("scaling answers %s, want %q", said, want)
		}
	})
	t.Run("one that goes takes nothing of the others", func(t *testing.T) {
		must(t, "aks", "delete", "-g", flat.group, "-n", flat.name, "--yes")
		for _, c := range []*cluster{&overlay, &bare} {
			c.must(t, "exec", "client", "--", "/client", "connect", "kubernetes.default.svc:443")
		}
		status, _, answer := newWire(t).do(t, http.MethodGet, vnet+"?api-version=2023-09-01", "")
		if status != http.StatusOK || strings.Count(answer, "/ipConfigurations/ipconfig1") != 2 {
			t.Errorf("of the nodes of the clusters that are left, the network shows: %d %s", status, fmt.Sprintf("%.2000s", answer))
		}
	})
}
