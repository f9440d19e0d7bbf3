package frontend_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/naming"
)

// subjectOf is whom the certificate of a kubeconfig names, and its user's entry.
func subjectOf(t *testing.T, encoded any) (user, commonName string, organizations []string) {
	t.Helper()
	text, _ := encoded.(string)
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.Load(content)
	if err != nil {
		t.Fatal(err)
	}
	for name, info := range config.AuthInfos {
		block, _ := pem.Decode(info.ClientCertificateData)
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return name, certificate.Subject.CommonName, certificate.Subject.Organization
	}
	t.Fatal("the kubeconfig has no user")
	return "", "", nil
}

func TestEachCredentialNamesItsOwnUserWithItsOwnRights(t *testing.T) {
	r := made(t)
	r.ready()
	for action, c := range map[string]struct{ access, commonName, organization string }{
		"listClusterAdminCredential":                               {"clusterAdmin", "masterclient", "system:masters"},
		"listClusterUserCredential?format=azure":                   {"clusterUser", "masterclient", "system:masters"},
		"listClusterUserCredential?format=exec&server-fqdn=public": {"clusterUser", "masterclient", "system:masters"},
		"listClusterMonitoringUserCredential":                      {"clusterMonitoringUser", "clusterMonitoringUser", "berth:cluster-monitoring-users"},
	} {
		a := r.call("POST", clusterPath+"/"+action, "")
		list, _ := a.body["kubeconfigs"].([]any)
		if a.status != http.StatusOK || len(list) != 1 || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %d %s", action, a.status, a.raw)
		}
		entry := list[0].(map[string]any)
		user, commonName, organizations := subjectOf(t, entry["value"])
		if entry["name"] != c.access || user != c.access+"_rg_demo" || commonName != c.commonName || !slices.Equal(organizations, []string{c.organization}) {
			t.Errorf("%s: %v for %s: %s %v", action, entry["name"], user, commonName, organizations)
		}
	}
	a := r.call("POST", clusterPath+"/accessProfiles/clusteradmin/listCredential", "")
	properties, _ := a.body["properties"].(map[string]any)
	if user, _, _ := subjectOf(t, properties["kubeConfig"]); a.body["name"] != "clusterAdmin" || user != "clusterAdmin_rg_demo" {
		t.Errorf("the access profile is %s", a.raw)
	}
	check(t, r.call("POST", clusterPath+"/accessProfiles/other/listCredential", ""), want{404, "NotFound", "", "no access profile 'other'"})
	check(t, r.call("POST", clusterPath+"/listClusterUserCredential?format=x", ""), want{400, "InvalidQueryParameterValue", "format", "azure, exec"})
	check(t, r.call("POST", clusterPath+"/listClusterUserCredential?server-fqdn=private", ""), want{400, "InvalidQueryParameterValue", "server-fqdn", "public"})
	r.token = r.tokenOf(readerID)
	for _, action := range []string{"listClusterAdminCredential", "listClusterUserCredential", "listClusterMonitoringUserCredential", "accessProfiles/clusterAdmin/listCredential"} {
		check(t, r.call("POST", clusterPath+"/"+action, ""), want{403, "AuthorizationFailed", "", "/action'"})
	}
}

func TestMachinesAreThoseOfTheirPool(t *testing.T) {
	r := made(t)
	cluster := r.cluster()
	pool := cluster.Spec.AgentPools[0]
	for name, of := range map[string]string{"aks-one": naming.AgentPool(pool.Name, pool.Incarnation), "aks-two": "another"} {
		if err := r.store.Create(t.Context(), &containerservicev1alpha1.Machine{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: containerservicev1alpha1.MachineSpec{
			ClusterName: cluster.Name, AgentPoolName: of, NodeName: name, Address: "10.224.0.4", ProviderID: "berth:///" + name,
			Incarnation: naming.Incarnation(), BootstrapTokenID: "abcdef",
		}}); err != nil {
			t.Fatal(err)
		}
	}
	path := clusterPath + "/agentPools/nodepool1/machines"
	list := r.call("GET", path, "")
	if values, _ := list.body["value"].([]any); len(values) != 1 || !strings.Contains(list.raw, `"ipAddresses":[{"family":"IPv4","ip":"10.224.0.4"}]`) {
		t.Errorf("the list is %s", list.raw)
	}
	if one := r.call("GET", path+"/AKS-one", ""); one.body["name"] != "aks-one" || !strings.HasSuffix(one.body["id"].(string), "/agentPools/nodepool1/machines/aks-one") {
		t.Errorf("the machine is %s", one.raw)
	}
	check(t, r.call("GET", path+"/aks-two", ""), want{404, "ResourceNotFound", "", "nodepool1/aks-two"})
	check(t, r.call("GET", clusterPath+"/agentPools/none/machines", ""), want{404, "", "", ""})
}
