package bootstrap

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"berth.dev/berth/internal/supervise"
)

func goldenFile() string { return filepath.Join("testdata", "node.golden") }

func example() Node {
	return Node{
		Name:                "aks-nodepool1-00000001",
		Address:             netip.MustParseAddr("10.224.0.4"),
		PodCIDR:             netip.MustParsePrefix("10.244.3.0/24"),
		ClusterPodCIDR:      netip.MustParsePrefix("10.244.0.0/16"),
		ServiceCIDR:         netip.MustParsePrefix("10.0.0.0/16"),
		ClusterDNS:          netip.MustParseAddr("10.0.0.10"),
		Nameserver:          netip.MustParseAddr("198.18.0.3"),
		MaxPods:             110,
		Labels:              map[string]string{"kubernetes.azure.com/mode": "system", "kubernetes.azure.com/agentpool": "nodepool1"},
		Taints:              []string{"CriticalAddonsOnly=true:NoSchedule", "gpu:NoExecute"},
		ProviderID:          "azure:///subscriptions/s/vm",
		APIServer:           "https://198.18.0.16:443",
		KonnectivityAddress: "198.18.0.16:8132",
		ClusterCA:           []byte("cluster CA\n"),
		BootstrapToken:      "abcdef.0123456789abcdef",
		ProxyCert:           []byte("proxy certificate\n"),
		ProxyKey:            []byte("proxy key\n"),
		PauseImage:          "registry.k8s.io/pause:3.10",
		ImageArchives:       []string{"/cache/web.tar", "/cache/coredns.tar", "/cache/pause.tar"},
	}
}

// render writes files and components as one text.
func render(t *testing.T, node Node) []byte {
	t.Helper()
	files, components, err := Machine(node)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&text, "--- %s %s\n%s\n", path, files[path].Mode, strings.TrimSuffix(string(files[path].Content), "\n"))
	}
	data, err := json.MarshalIndent(components, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&text, "--- components\n%s\n", data)
	return text.Bytes()
}

func TestANodesFilesAndComponentsAreAsCommitted(t *testing.T) {
	update := flag.Lookup("update")
	got := render(t, example())
	if update != nil && update.Value.String() == "true" {
		if err := os.WriteFile(goldenFile(), got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenFile())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s; run with -update and look at the difference. Got:\n%s", goldenFile(), got)
	}
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files")
	flag.Parse()
	os.Exit(m.Run())
}

func TestSecretsAreForRootAloneAndInNoCommandLine(t *testing.T) {
	node := example()
	files, components, err := Machine(node)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{node.BootstrapToken, string(node.ProxyKey), "cHJveHkga2V5Cg=="}
	for path, file := range files {
		for _, secret := range secrets {
			if strings.Contains(string(file.Content), secret) && file.Mode.Perm() != 0o600 {
				t.Errorf("%s holds a secret and has mode %s", path, file.Mode)
			}
		}
	}
	for _, component := range components {
		for _, secret := range secrets {
			if strings.Contains(strings.Join(slices.Concat(component.Command, component.Env), " "), strings.TrimSpace(secret)) {
				t.Errorf("component %s shows a secret", component.Name)
			}
		}
	}
}

func TestNothingButPodsWaitsForImages(t *testing.T) {
	_, components, err := Machine(example())
	if err != nil {
		t.Fatal(err)
	}
	once := slices.IndexFunc(components, func(c supervise.Component) bool { return c.Once })
	for _, component := range components[once:] {
		if !component.Once {
			t.Errorf("%s waits for images", component.Name)
		}
	}
	if components[once].Name != "image-pause" || components[len(components)-1].Name != "open-for-pods" {
		t.Errorf("the order is %v: want the pause image first and pods let in last", components[once:])
	}
}

func TestAWrongNodeIsRefusedWithAllThatIsWrong(t *testing.T) {
	node := example()
	node.ClusterDNS = netip.MustParseAddr("10.9.0.10")
	node.PodCIDR = netip.MustParsePrefix("10.245.0.0/24")
	node.Taints = []string{"noeffect"}
	node.Labels = map[string]string{"kubernetes.io/role": "agent", "node-role.kubernetes.io/agent": ""}
	node.APIServer = "http://198.18.0.16"
	_, _, err := Machine(node)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"DNS", "pod range", "noeffect", "kubernetes.io/role", "node-role.kubernetes.io/agent", "https"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}

func TestAKubeletSetsOnlyTheLabelsThatItMay(t *testing.T) {
	for label, want := range map[string]bool{
		"team":                             true,
		"example.com/team":                 true,
		"kubernetes.azure.com/agentpool":   true,
		"node.kubernetes.io/instance-type": true,
		"topology.kubernetes.io/region":    true,
		"topology.kubernetes.io/other":     false,
		"x.node.kubernetes.io/y":           true,
		"node-role.kubernetes.io/agent":    false,
		"node-restriction.kubernetes.io/a": false,
		"k8s.io/x":                         false,
	} {
		if got := selfSet(label); got != want {
			t.Errorf("selfSet(%q) = %v, want %v", label, got, want)
		}
	}
}

func TestNoComponentHasAVariableTwice(t *testing.T) {
	for _, component := range example().components() {
		seen := map[string]bool{}
		for _, entry := range component.Env {
			name, _, _ := strings.Cut(entry, "=")
			if seen[name] {
				t.Errorf("%s has %s twice, and its program takes the first", component.Name, name)
			}
			seen[name] = true
		}
	}
}
