//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// wire is a client of the bare ARM wire.
type wire struct {
	http  http.Client
	token string
}

func newWire(t *testing.T) *wire {
	t.Helper()
	ca, err := os.ReadFile(service.cloud.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	w := &wire{http: http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}}
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {service.cloud.ClientID}, "client_secret": {service.cloud.ClientSecret},
		"scope": {service.cloud.ARMEndpoint + "/.default"},
	}
	response, err := w.http.PostForm(service.cloud.ActiveDirectoryEndpoint+"/"+service.cloud.TenantID+"/oauth2/v2.0/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatalf("no token: status %d, %v", response.StatusCode, err)
	}
	w.token = answer.Token
	return w
}

// do sends a request and returns the status and the code of the ARM error.
func (w *wire) do(t *testing.T, method, path, body string) (status int, code, whole string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, service.cloud.ARMEndpoint+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if w.token != "" {
		request.Header.Set("Authorization", "Bearer "+w.token)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := w.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(content, &answer) // an answer that is no error has no code
	return response.StatusCode, answer.Error.Code, string(content)
}

func TestNothingIsAnonymous(t *testing.T) {
	anonymous := newWire(t)
	anonymous.token = ""
	subscription := "/subscriptions/" + service.cloud.SubscriptionID
	for _, path := range []string{"/subscriptions?api-version=2022-12-01", subscription + "?api-version=2022-12-01", subscription + "/resourcegroups?api-version=2021-04-01"} {
		if status, _, body := anonymous.do(t, http.MethodGet, path, ""); status != http.StatusUnauthorized {
			t.Errorf("GET %s without a token: %d %s", path, status, body)
		}
	}
	forged := newWire(t)
	forged.token = forged.token[:len(forged.token)-8] + "AAAAAAAA"
	if status, _, body := forged.do(t, http.MethodGet, subscription+"?api-version=2022-12-01", ""); status != http.StatusUnauthorized {
		t.Errorf("GET with a forged token: %d %s", status, body)
	}
}

func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	w := newWire(t)
	group := "rg-bad"
	must(t, "group", "create", "-n", group, "-l", service.cloud.Location)
	t.Cleanup(func() { must(t, "group", "delete", "-n", group, "--yes") })
	clusters := "/subscriptions/" + service.cloud.SubscriptionID + "/resourceGroups/" + group + "/providers/Microsoft.ContainerService/managedClusters"
	const version = "?api-version=2025-02-01"
	for name, try := range map[string]struct{ cluster, query, body string }{
		"malformed JSON":             {"c", version, `{"location": `},
		"a wrong type":               {"c", version, `{"location": "local", "properties": {"dnsPrefix": 7}}`},
		"an unknown api-version":     {"c", "?api-version=2019-13-01", `{"location": "local"}`},
		"an unknown version":         {"c", version, body(`"kubernetesVersion": "1.99"`, `"count": 1`)},
		"a name that breaks rules":   {"-c-", version, body(`"kubernetesVersion": ""`, `"count": 1`)},
		"overlapping ranges":         {"c", version, body(`"networkProfile": {"podCidr": "10.0.0.0/16", "serviceCidr": "10.0.0.0/16"}`, `"count": 1`)},
		"a range not canonical":      {"c", version, body(`"networkProfile": {"podCidr": "10.244.0.1/16"}`, `"count": 1`)},
		"DNS outside its range":      {"c", version, body(`"networkProfile": {"dnsServiceIP": "10.9.0.10"}`, `"count": 1`)},
		"a count out of range":       {"c", version, body(`"kubernetesVersion": ""`, `"count": 1001`)},
		"an unknown size":            {"c", version, body(`"kubernetesVersion": ""`, `"count": 1, "vmSize": "Standard_Nothing"`)},
		"more than the host holds":   {"c", version, body(`"kubernetesVersion": ""`, `"count": 900`)},
		"pools without System":       {"c", version, strings.ReplaceAll(body(`"kubernetesVersion": ""`, `"count": 1`), "System", "User")},
		"no pool without the switch": {"c", version, `{"location": "local", "properties": {"dnsPrefix": "c", "agentPoolProfiles": []}}`},
	} {
		t.Run(name, func(t *testing.T) {
			status, code, answer := w.do(t, http.MethodPut, clusters+"/"+try.cluster+try.query, try.body)
			if status < 400 || status > 499 || code == "" {
				t.Errorf("PUT answered %d %s", status, answer)
			}
			if status, _, answer := w.do(t, http.MethodGet, clusters+version, ""); status != http.StatusOK || !strings.Contains(strings.ReplaceAll(answer, " ", ""), `"value":[]`) {
				t.Errorf("afterwards the group holds %s", answer)
			}
		})
	}
	t.Run("a body over four megabytes", func(t *testing.T) {
		status, code, _ := w.do(t, http.MethodPut, clusters+"/c"+version, `{"tags": {"a": "`+strings.Repeat("x", 5<<20)+`"}}`)
		if status < 400 || status > 499 || code == "" {
			t.Errorf("PUT answered %d", status)
		}
	})
	t.Run("a group that is not there", func(t *testing.T) {
		path := strings.ReplaceAll(clusters, group, "rg-none") + "/c" + version
		if status, code, answer := w.do(t, http.MethodPut, path, body(`"kubernetesVersion": ""`, `"count": 1`)); status != http.StatusNotFound || code != "ResourceGroupNotFound" {
			t.Errorf("PUT answered %d %s", status, answer)
		}
	})
}

// body is a cluster with one pool, with more properties of the cluster and of the pool.
func body(cluster, pool string) string {
	return `{"location": "local", "identity": {"type": "SystemAssigned"}, "properties": {"dnsPrefix": "c", ` + cluster +
		`, "agentPoolProfiles": [{"name": "nodepool1", "mode": "System", "vmSize": "Standard_B2s", ` + pool + `}]}}`
}

func TestTheCLIExplainsWhatWentWrong(t *testing.T) {
	said := refused(t, "aks", "show", "-g", "rg-none", "-n", "none")
	if !strings.Contains(said, "ResourceGroupNotFound") && !strings.Contains(said, "ResourceNotFound") {
		t.Errorf("berth aks show of a missing cluster says: %s", said)
	}
}
