package controlplane

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth.dev/berth/internal/pki"
)

// desired is a control plane whose credentials are told apart by their names.
func desired() Desired {
	contents := map[string][]byte{}
	for _, name := range append(credentials(), pki.APIServerKubeletClientCert, pki.APIServerKubeletClientKey, pki.EncryptionKey, pki.ServiceClientCert, pki.ServiceClientKey) {
		contents[name] = []byte("content of " + name + "\n")
	}
	contents[pki.EncryptionKey] = []byte("content of encryption.key, 32 b.\n")[:32]
	binaries := map[string]string{}
	for _, name := range []string{Konnectivity, Etcd, APIServer, ControllerManager, Scheduler} {
		binaries[name] = "/cache/" + name
	}
	return Desired{
		ID: "abcdefghij", Version: "1.35.4", Binaries: binaries, Address: netip.MustParseAddr("198.18.0.16"),
		FQDN: "demo-12345678.hcp.local.berth.internal", Issuer: "https://oidc.local.berth.internal/tenant/abcdefghij/",
		EtcdPrefix: "/berth/abcdefghij", ServiceCIDR: netip.MustParsePrefix("10.0.0.0/16"),
		PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), NetworkNamespace: "/run/netns/x", UserID: 64000, Credentials: contents,
	}
}

const dir = "/home/control-planes/abcdefghij"

func TestComponentsAreThoseOfTheGoldenFile(t *testing.T) {
	files, components, err := Components(desired(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(components); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text.WriteString("--- " + name + "\n" + string(files[name]))
	}
	golden := filepath.Join("testdata", "components.golden")
	if update := flag.Lookup("update"); update != nil && update.Value.String() == "true" {
		if err := os.WriteFile(golden, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(string(want), text.String()); difference != "" {
		t.Errorf("components differ from %s (-update writes it anew):\n%s", golden, difference)
	}
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files anew")
	flag.Parse()
	os.Exit(m.Run())
}

func TestNoSecretIsOnACommandLineAndNoFlagIsInsecure(t *testing.T) {
	d := desired()
	_, components, err := Components(d, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, component := range components {
		for _, argument := range append(component.Command, component.Env...) {
			if strings.Contains(argument, "insecure") || strings.Contains(argument, "unsafe") || strings.Contains(argument, "http://") {
				t.Errorf("%s runs with %s", component.Name, argument)
			}
			for name, secret := range d.Credentials {
				if strings.Contains(argument, strings.TrimSpace(string(secret))) {
					t.Errorf("%s shows %s in %s", component.Name, name, argument)
				}
			}
		}
	}
}

func TestThePrivateKeysOfBerthStayAwayFromTheProcesses(t *testing.T) {
	d := desired()
	files, _, err := Components(d, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pki.ServiceClientKey, pki.EtcdCAKey, pki.FrontProxyCAKey} {
		for file, content := range files {
			if len(d.Credentials[name]) > 0 && bytes.Contains(content, d.Credentials[name]) || filepath.Base(file) == name {
				t.Errorf("%s holds %s", file, name)
			}
		}
	}
}

func TestAControlPlaneOnALoopbackAddressKeepsToIt(t *testing.T) {
	d := desired()
	d.Address, d.NetworkNamespace = netip.MustParseAddr("127.66.0.1"), ""
	_, components, err := Components(d, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, component := range components {
		if line := strings.Join(component.Command, " "); strings.Contains(line, "127.0.0.1") {
			t.Errorf("%s would listen where its neighbours do: %s", component.Name, line)
		}
	}
}

func TestADesiredStateThatMakesNoSenseIsRefusedWithAllThatIsWrong(t *testing.T) {
	err := Desired{ID: "../x", Issuer: "http://x", EtcdPrefix: "x"}.Validate()
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, want := range []string{"id", "address", "service range", "FQDN", "issuer", "etcd prefix", "root", "no program etcd", "no credential ca.key"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not speak of %q: %v", want, err)
		}
	}
	if err := desired().Validate(); err != nil {
		t.Errorf("a sensible one: %v", err)
	}
	long := "/" + strings.Repeat("x", 100)
	if _, _, err := Components(desired(), long); err == nil || !strings.Contains(err.Error(), "socket") {
		t.Errorf("a directory too long for a socket: %v", err)
	}
}

func TestTheRealPKIHasWhatAControlPlaneNeeds(t *testing.T) {
	d := desired()
	var err error
	d.Credentials, err = pki.NewCluster(pki.ClusterNames{FQDN: d.FQDN, Address: d.Address, ServiceAddress: d.ServiceCIDR.Addr().Next()}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Components(d, dir); err != nil {
		t.Error(err)
	}
}

func TestAnAPIServerKeepsTheCertificateThatItShowsToKubelets(t *testing.T) {
	before := desired()
	after := desired()
	after.Credentials[pki.APIServerKubeletClientCert] = []byte("another\n")
	old, _, err := Components(before, dir)
	if err != nil {
		t.Fatal(err)
	}
	fresh, _, err := Components(after, dir)
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for name, content := range old {
		if !strings.Contains(name, "kubelet-client") {
			continue
		}
		kept++
		if _, written := fresh[name]; written {
			t.Errorf("%s (%q) is written over", name, content)
		}
		if !Former(name, fresh) || Former(name, old) {
			t.Errorf("%s is removed while it is needed, or never", name)
		}
	}
	if kept != 2 {
		t.Errorf("%d files of that certificate", kept)
	}
	for _, name := range []string{"pki/ca.key", "etcd/member", "spec.json", "log/etcd.log"} {
		if Former(name, fresh) {
			t.Errorf("%s would be removed", name)
		}
	}
}
