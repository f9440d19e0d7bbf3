package cli

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/cli/session"
	"berth.dev/berth/internal/cloud"
)

const (
	tenant       = "11111111-1111-1111-1111-111111111111"
	subscription = "22222222-2222-2222-2222-222222222222"
	clientID     = "33333333-3333-3333-3333-333333333333"
	secret       = "a-secret-that-must-stay-one"
)

type object = map[string]any

// double speaks as much of ARM's wire as the commands need: resources are
// what was last PUT, with what a service adds; operations end after a number
// of polls that each name a phase.
type double struct {
	*httptest.Server
	t  *testing.T
	mu sync.Mutex
	// ca is what its clients trust, secret what they log in with.
	ca     []byte
	secret string
	// client is who they log in as; clientID if empty.
	client string
	// clock is theirs; the real one if nil.
	clock clock.WithTicker
	// management is the management API behind the real front end.
	management client.Client
	// resources by lower-case id.
	resources map[string]object
	// phases that every operation goes through.
	phases []string
	// failure ends operations instead of success.
	failure object
	// polls counts polls by operation.
	polls map[string]int
	// deletes are the ids that an operation's success removes.
	deletes map[string]string
	// requests is "METHOD path" of everything after the token.
	requests []string
	// refuse answers requests whose "METHOD path" contains the key.
	refuse map[string]refusal
	// onPoll is called at each poll, onRequest at each request.
	onPoll    func()
	onRequest func(r *http.Request)
	// certificate is the base64 of the certificates in the credentials that it gives.
	certificate string
}

type refusal struct {
	status int
	body   string
}

func newDouble(t *testing.T) *double {
	d := &double{t: t, resources: map[string]object{}, polls: map[string]int{}, deletes: map[string]string{},
		refuse: map[string]refusal{}, certificate: "Y2VydA==", secret: secret, phases: []string{"ControlPlaneReady"}}
	d.Server = httptest.NewUnstartedServer(d)
	d.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse its certificate
	d.StartTLS()
	d.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw})
	t.Cleanup(d.Close)
	return d
}

// session is a session that is logged in to the double.
func (d *double) session(out, errs io.Writer) *session.Session {
	dir := d.t.TempDir()
	caFile := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(caFile, d.ca, 0o600); err != nil {
		d.t.Fatal(err)
	}
	login := cloud.Cloud{
		ARMEndpoint: d.URL, ActiveDirectoryEndpoint: d.URL, TenantID: tenant, SubscriptionID: subscription,
		ClientID: cmp.Or(d.client, clientID), ClientSecret: d.secret, CAFile: caFile, Location: "local",
	}
	loginFile := filepath.Join(dir, "login.json")
	if err := login.Save(loginFile); err != nil {
		d.t.Fatal(err)
	}
	s := session.New(session.Streams{In: strings.NewReader(""), Out: out, Err: errs})
	s.LoginFiles = []string{filepath.Join(dir, "missing.json"), loginFile}
	s.Getenv = func(string) string { return "" }
	if d.clock != nil {
		s.Clock = d.clock
	}
	return s
}

// run runs a command line against the double.
func (d *double) run(args ...string) (out, errs string, code int) {
	var stdout, stderr strings.Builder
	code = Run(d.t.Context(), d.session(&stdout, &stderr), args)
	return stdout.String(), stderr.String(), code
}

// must runs a command line that has to succeed.
func (d *double) must(args ...string) string {
	d.t.Helper()
	out, errs, code := d.run(args...)
	if code != 0 {
		d.t.Fatalf("berth %s: exit code %d\n%s", strings.Join(args, " "), code, errs)
	}
	return out
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path := strings.ToLower(r.URL.Path)
	switch {
	case strings.HasSuffix(path, "/.well-known/openid-configuration"):
		answer(w, http.StatusOK, object{"issuer": d.URL + "/" + tenant + "/v2.0",
			"authorization_endpoint": d.URL + "/authorize", "token_endpoint": d.URL + "/" + tenant + "/oauth2/v2.0/token"})
		return
	case strings.HasSuffix(path, "/oauth2/v2.0/token"):
		if r.FormValue("client_secret") != secret || !strings.Contains(r.FormValue("scope"), d.URL+"/.default") {
			answer(w, http.StatusUnauthorized, object{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."})
			return
		}
		answer(w, http.StatusOK, object{"access_token": "the-token", "token_type": "Bearer", "expires_in": 3600})
		return
	}
	if r.Header.Get("Authorization") != "Bearer the-token" || r.URL.Query().Get("api-version") == "" {
		armFailure(w, http.StatusUnauthorized, "InvalidAuthenticationToken", "no token or no api-version")
		return
	}
	d.requests = append(d.requests, r.Method+" "+r.URL.Path)
	for what, refusal := range d.refuse {
		if strings.Contains(strings.ToLower(r.Method+" "+r.URL.Path), strings.ToLower(what)) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(refusal.status)
			_, _ = io.WriteString(w, refusal.body)
			return
		}
	}
	if d.onRequest != nil {
		d.onRequest(r)
	}
	d.arm(w, r, path)
}

func (d *double) arm(w http.ResponseWriter, r *http.Request, path string) {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	last := segments[len(segments)-1]
	switch {
	case strings.Contains(path, "/operations/"):
		d.poll(w, last)
	case last == "kubernetesversions":
		answer(w, http.StatusOK, versionList())
	case last == "resourcegroups", last == "managedclusters", last == "agentpools":
		d.list(w, path)
	case last == "listclusteradmincredential", last == "listclusterusercredential":
		d.credentials(w, path, strings.TrimSuffix(strings.TrimPrefix(last, "listcluster"), "credential"))
	case slices.Contains([]string{"stop", "start", "abort", "lift", "rollback", "upgradenodeimageversion"}, last):
		d.begin(w, "")
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPut:
		d.put(w, r, path)
	case r.Method == http.MethodDelete:
		d.remove(w, path)
	default:
		d.get(w, r, path)
	}
}

func (d *double) get(w http.ResponseWriter, r *http.Request, path string) {
	resource, ok := d.resources[path]
	switch {
	case r.Method == http.MethodHead && ok:
		w.WriteHeader(http.StatusNoContent)
	case ok:
		answer(w, http.StatusOK, resource)
	case isGroup(path):
		armFailure(w, http.StatusNotFound, "ResourceGroupNotFound", "Resource group 'none' could not be found.")
	default:
		armFailure(w, http.StatusNotFound, "ResourceNotFound", "The Resource was not found.")
	}
}

func (d *double) list(w http.ResponseWriter, path string) {
	collection := path[strings.LastIndex(path, "/"):]
	value := []object{}
	for _, id := range slices.Sorted(maps.Keys(d.resources)) {
		parent, _ := strings.CutSuffix(path, collection)
		parent, _ = strings.CutSuffix(parent, "/providers/microsoft.containerservice")
		if id[:strings.LastIndex(id, "/")] != path && !(strings.HasPrefix(id, parent+"/") && strings.HasSuffix(id[:strings.LastIndex(id, "/")], collection)) {
			continue
		}
		value = append(value, d.resources[id])
	}
	answer(w, http.StatusOK, object{"value": value})
}

func (d *double) put(w http.ResponseWriter, r *http.Request, path string) {
	var resource object
	if err := json.NewDecoder(r.Body).Decode(&resource); err != nil {
		armFailure(w, http.StatusBadRequest, "InvalidRequestContent", err.Error())
		return
	}
	old, exists := d.resources[path]
	if match := r.Header.Get("If-Match"); match != "" && (!exists || old["eTag"] != match) {
		armFailure(w, http.StatusPreconditionFailed, "PreConditionFailed", "The eTag does not match.")
		return
	}
	resource["id"], resource["name"] = r.URL.Path, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	properties, _ := resource["properties"].(object)
	if properties == nil {
		properties = object{}
	}
	resource["properties"] = properties
	if isGroup(path) {
		properties["provisioningState"] = "Succeeded"
		resource["type"] = "Microsoft.Resources/resourceGroups"
		d.resources[path] = resource
		answer(w, http.StatusCreated, resource)
		return
	}
	resource["type"], resource["eTag"] = "Microsoft.ContainerService/ManagedClusters", fmt.Sprint("tag-", len(d.requests))
	if strings.Contains(path, "/agentpools/") {
		resource["type"] = "Microsoft.ContainerService/managedClusters/agentPools"
		properties["eTag"] = resource["eTag"]
	} else {
		properties["fqdn"] = fmt.Sprint(properties["dnsPrefix"]) + "-abcd1234.hcp.local.berth.internal"
		properties["currentKubernetesVersion"] = "1.35.4"
		if properties["kubernetesVersion"] == nil {
			properties["kubernetesVersion"] = "1.35"
		}
	}
	d.resources[path] = resource
	d.begin(w, "")
	properties["provisioningState"] = "Creating"
	answer(w, http.StatusCreated, resource)
	properties["provisioningState"] = "Succeeded"
}

func (d *double) remove(w http.ResponseWriter, path string) {
	if _, ok := d.resources[path]; !ok {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	d.begin(w, path)
	w.WriteHeader(http.StatusAccepted)
}

// begin starts an operation, at whose success an id is gone.
func (d *double) begin(w http.ResponseWriter, gone string) {
	id := fmt.Sprintf("op-%d", len(d.requests))
	d.deletes[id] = gone
	w.Header().Set("Azure-AsyncOperation", d.URL+"/subscriptions/"+subscription+"/providers/x/locations/local/operations/"+id+"?api-version=2016-03-30")
	w.Header().Set("retry-after-ms", "1")
}

func (d *double) poll(w http.ResponseWriter, id string) {
	if d.onPoll != nil {
		d.onPoll()
	}
	w.Header().Set("retry-after-ms", "1")
	n := d.polls[id]
	d.polls[id]++
	switch {
	case n < len(d.phases):
		answer(w, http.StatusOK, object{"name": id, "status": "InProgress",
			"properties": object{"phase": d.phases[n], "message": "waiting for " + d.phases[n]}})
	case d.failure != nil:
		answer(w, http.StatusOK, object{"name": id, "status": "Failed", "error": d.failure})
	default:
		if gone := d.deletes[id]; gone != "" {
			delete(d.resources, gone)
		}
		answer(w, http.StatusOK, object{"name": id, "status": "Succeeded"})
	}
}

func (d *double) credentials(w http.ResponseWriter, path, role string) {
	cluster, ok := d.resources[path[:strings.LastIndex(path, "/")]]
	if !ok {
		armFailure(w, http.StatusNotFound, "ResourceNotFound", "The Resource was not found.")
		return
	}
	name := cluster["name"].(string)
	user := "cluster" + strings.ToUpper(role[:1]) + role[1:] + "_rg_" + name
	kubeconfig := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: %[1]s, cluster: {server: "https://198.18.0.16:443", certificate-authority-data: %[3]s}}]
users: [{name: %[2]s, user: {client-certificate-data: %[3]s, client-key-data: a2V5}}]
contexts: [{name: %[1]s, context: {cluster: %[1]s, user: %[2]s}}]
current-context: %[1]s
`, name, user, d.certificate)
	answer(w, http.StatusOK, object{"kubeconfigs": []object{{"name": "cluster" + role, "value": base64.StdEncoding.EncodeToString([]byte(kubeconfig))}}})
}

func versionList() object {
	minor := func(version string, isDefault bool, patches object) object {
		return object{"version": version, "isDefault": isDefault,
			"capabilities": object{"supportPlan": []string{"KubernetesOfficial"}}, "patchVersions": patches}
	}
	return object{"values": []object{
		minor("1.35", true, object{"1.35.4": object{"upgrades": []string{"1.36.0", "1.35.6"}}, "1.35.6": object{"upgrades": []string{"1.36.0"}}}),
		minor("1.36", false, object{"1.36.0": object{}}),
	}}
}

func isGroup(path string) bool { return strings.Count(path, "/") == 4 }

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func armFailure(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, object{"error": object{"code": code, "message": message}})
}

// runWith runs a command line in a context of its own.
func (d *double) runWith(ctx context.Context, args ...string) (errs string, code int) {
	var stdout, stderr strings.Builder
	code = Run(ctx, d.session(&stdout, &stderr), args)
	return stderr.String(), code
}
