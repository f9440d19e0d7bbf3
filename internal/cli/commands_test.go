package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"berth.dev/berth/internal/pki"
)

// withCluster is a double that has the cluster demo in the group rg.
func withCluster(t *testing.T) *double {
	d := newDouble(t)
	d.must("group", "create", "-n", "rg")
	d.must("aks", "create", "-g", "rg", "-n", "demo", "-c", "1")
	return d
}

func TestAGroupLivesFromCreateToDelete(t *testing.T) {
	d := newDouble(t)
	created := d.must("group", "create", "--name", "rg", "--tags", "a=1", "b=2", "--query", "[name, location, tags.a, tags.b]", "-o", "tsv")
	if created != "rg\nlocal\n1\n2\n" {
		t.Errorf("group create printed %q", created)
	}
	if got := d.must("group", "show", "-g", "rg", "--query", "properties.provisioningState", "-o", "tsv"); got != "Succeeded\n" {
		t.Errorf("group show printed %q: a group's properties are not flattened, as in az", got)
	}
	want := "Name    Location    Status\n------  ----------  ---------\nrg      local       Succeeded\n"
	if got := d.must("group", "list", "-o", "table"); got != want {
		t.Errorf("group list printed\n%swant\n%s", got, want)
	}
	if got := d.must("group", "exists", "-n", "rg"); got != "true\n" {
		t.Errorf("group exists printed %q", got)
	}
	d.must("group", "delete", "-n", "rg", "--yes")
	d.must("group", "wait", "-n", "rg", "--deleted")
	if got := d.must("group", "exists", "-n", "rg"); got != "false\n" {
		t.Errorf("after the delete, group exists printed %q", got)
	}
	if _, errs, code := d.run("group", "show", "-n", "rg"); code != 3 || !strings.Contains(errs, "(ResourceGroupNotFound)") {
		t.Errorf("showing what is gone: exit code %d, want 3: %s", code, errs)
	}
}

func TestCreatingAClusterAsksForWhatTheFlagsSay(t *testing.T) {
	d := newDouble(t)
	d.must("group", "create", "-n", "rg")
	printed := d.must("aks", "create", "-g", "rg", "-n", "demo", "-k", "v1.35.4", "-c", "2", "-s", "Standard_B2s",
		"--nodepool-name", "first", "--nodepool-labels", "tier=gold", "zone=a", "--nodepool-taints", "x=y:NoSchedule,z=w:NoExecute",
		"--pod-cidr", "10.1.0.0/16", "--service-cidr", "10.2.0.0/16", "--dns-service-ip", "10.2.0.10", "--network-plugin", "azure",
		"--network-plugin-mode", "overlay", "--vnet-subnet-id", "/subnet", "--load-balancer-managed-outbound-ip-count", "2", "--load-balancer-outbound-ports", "1024",
		"--node-resource-group", "nodes",
		"--node-osdisk-size", "40", "--max-pods", "60", "--tier", "standard", "--tags", "team=web",
		"--generate-ssh-keys", "--enable-managed-identity", "--yes")
	got, err := json.Marshal(d.resources["/subscriptions/"+subscription+"/resourcegroups/rg/providers/microsoft.containerservice/managedclusters/demo"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"dnsPrefix":"demo-rg-222222"`, `"kubernetesVersion":"1.35.4"`, `"orchestratorVersion":"1.35.4"`, `"location":"local"`,
		`"count":2`, `"vmSize":"Standard_B2s"`, `"name":"first"`, `"mode":"System"`, `"osDiskSizeGB":40`, `"maxPods":60`,
		`"nodeLabels":{"tier":"gold","zone":"a"}`, `"nodeTaints":["x=y:NoSchedule","z=w:NoExecute"]`,
		`"podCidr":"10.1.0.0/16"`, `"serviceCidr":"10.2.0.0/16"`, `"dnsServiceIP":"10.2.0.10"`, `"networkPlugin":"azure"`,
		`"networkPluginMode":"overlay"`, `"vnetSubnetID":"/subnet"`, `"managedOutboundIPs":{"count":2}`, `"allocatedOutboundPorts":1024`, `"nodeResourceGroup":"nodes"`,
		`"tier":"Standard"`, `"tags":{"team":"web"}`, `"type":"SystemAssigned"`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the request lacks %s:\n%s", want, got)
		}
	}
	var flat map[string]any
	if err := json.Unmarshal([]byte(printed), &flat); err != nil || flat["provisioningState"] != "Succeeded" || flat["resourceGroup"] != "rg" {
		t.Errorf("the cluster is not printed in az's flat shape (%v):\n%s", err, printed)
	}
}

func TestCreatingWhatExistsIsRefused(t *testing.T) {
	d := withCluster(t)
	d.requests = nil
	_, errs, code := d.run("aks", "create", "-g", "rg", "-n", "demo")
	if code != 1 || !strings.Contains(errs, `the cluster "demo" in the resource group "rg" exists already`) {
		t.Errorf("exit code %d: %s", code, errs)
	}
	_, errs, code = d.run("aks", "nodepool", "add", "-g", "rg", "--cluster-name", "demo", "-n", "extra", "-c", "1")
	if code != 0 {
		t.Fatalf("adding a pool: %s", errs)
	}
	_, errs, code = d.run("aks", "nodepool", "add", "-g", "rg", "--cluster-name", "demo", "-n", "extra")
	if code != 1 || !strings.Contains(errs, `"extra" exists already`) {
		t.Errorf("exit code %d: %s", code, errs)
	}
	for _, request := range d.requests {
		if strings.HasPrefix(request, http.MethodPut) && !strings.HasSuffix(request, "/agentPools/extra") {
			t.Errorf("a refused create sent %s", request)
		}
	}
}

func TestAClusterIsShownListedScaledAndDeleted(t *testing.T) {
	d := withCluster(t)
	if got := d.must("aks", "show", "-g", "rg", "-n", "demo", "--query", "agentPoolProfiles[0].count"); got != "1\n" {
		t.Errorf("the count before: %q", got)
	}
	d.must("aks", "scale", "-g", "rg", "-n", "demo", "-c", "2")
	if got := d.must("aks", "show", "-g", "rg", "-n", "demo", "--query", "agentPoolProfiles[0].count"); got != "2\n" {
		t.Errorf("the count after: %q", got)
	}
	for _, args := range [][]string{{"aks", "list", "-o", "table"}, {"aks", "list", "-g", "rg", "-o", "table"}, {"aks", "show", "-g", "rg", "-n", "demo", "-o", "table"}} {
		lines := strings.Split(d.must(args...), "\n")
		want := []string{"Name", "Location", "ResourceGroup", "KubernetesVersion", "CurrentKubernetesVersion", "ProvisioningState", "Fqdn"}
		if !slices.Equal(strings.Fields(lines[0]), want) || len(lines) != 4 || !strings.HasPrefix(lines[2], "demo ") {
			t.Errorf("berth %s printed\n%s", strings.Join(args, " "), strings.Join(lines, "\n"))
		}
	}
	d.must("aks", "wait", "-g", "rg", "-n", "demo", "--created")
	d.must("aks", "delete", "-g", "rg", "-n", "demo", "--yes")
	if got := d.must("aks", "list"); got != "[]\n" {
		t.Errorf("after the delete, aks list printed %q", got)
	}
	d.must("aks", "delete", "-g", "rg", "-n", "demo", "--yes") // a delete may be repeated
}

func TestANodePoolIsAddedScaledAndDeleted(t *testing.T) {
	d := withCluster(t)
	on := []string{"-g", "rg", "--cluster-name", "demo"}
	pool := func(verb string, more ...string) []string {
		return append(append([]string{"aks", "nodepool", verb}, on...), more...)
	}
	d.must(pool("add", "-n", "batch", "-c", "1", "--labels", "a=b", "--node-taints", "k=v:NoSchedule", "--mode", "user")...)
	d.must(pool("scale", "--nodepool-name", "batch", "-c", "4")...)
	if got := d.must(pool("show", "-n", "batch", "--query", "[count, mode, typePropertiesType, nodeLabels.a]", "-o", "tsv")...); got != "4\nUser\nVirtualMachineScaleSets\nb\n" {
		t.Errorf("nodepool show printed %q", got)
	}
	lines := strings.Split(d.must(pool("list", "-o", "table")...), "\n")
	if strings.Join(strings.Fields(lines[0]), " ") != "Name OsType KubernetesVersion VmSize Count MaxPods ProvisioningState Mode" || !strings.HasPrefix(lines[2], "batch ") {
		t.Errorf("nodepool list printed\n%s", strings.Join(lines, "\n"))
	}
	d.must(pool("wait", "-n", "batch", "--created")...)
	if _, errs, code := d.run(pool("wait", "-n", "batch", "--deleted", "--timeout", "0")...); code != 1 || !strings.Contains(errs, "in vain") {
		t.Errorf("waiting for the end of a pool that stays: exit code %d: %s", code, errs)
	}
	d.must(pool("delete", "-n", "batch")...)
	d.must(pool("wait", "-n", "batch", "--deleted")...)
	if _, _, code := d.run(pool("delete", "-n", "batch")...); code != 3 {
		t.Errorf("deleting a pool that is gone: exit code %d, want 3", code)
	}
}

func TestVersionsAreListedNewestFirst(t *testing.T) {
	want := `KubernetesVersion    IsPreview    Upgrades        SupportPlan
-------------------  -----------  --------------  ------------------
1.36.0                            None available  KubernetesOfficial
1.35.6                            1.36.0          KubernetesOfficial
1.35.4                            1.35.6, 1.36.0  KubernetesOfficial
`
	if got := newDouble(t).must("aks", "get-versions", "-l", "local", "-o", "table"); got != want {
		t.Errorf("get-versions printed\n%swant\n%s", got, want)
	}
}

func TestCredentialsOfUserAndAdminLieSideBySide(t *testing.T) {
	d := withCluster(t)
	file := filepath.Join(t.TempDir(), "new", "config")
	d.must("aks", "get-credentials", "-g", "rg", "-n", "demo", "-f", file)
	d.must("aks", "get-credentials", "-g", "rg", "-n", "demo", "-f", file, "--admin")
	config, err := clientcmd.LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if config.CurrentContext != "demo-admin" || config.Contexts["demo"] == nil || config.Contexts["demo-admin"].AuthInfo != "clusterAdmin_rg_demo" {
		t.Errorf("current context %q of %v", config.CurrentContext, config.Contexts)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v (%v), want 0600", info.Mode(), err)
	}
	if got := d.must("aks", "get-credentials", "-g", "rg", "-n", "demo", "-f", "-"); !strings.Contains(got, "clusterUser_rg_demo") {
		t.Errorf("-f - printed %q", got)
	}
}

func TestWithoutWaitingNothingIsPolled(t *testing.T) {
	d := newDouble(t)
	d.must("group", "create", "-n", "rg")
	if out := d.must("aks", "create", "-g", "rg", "-n", "demo", "--no-wait"); out != "" || len(d.polls) != 0 {
		t.Errorf("printed %q after %d operations polled", out, len(d.polls))
	}
}

func TestProgressNamesThePhaseAndWhyItWaits(t *testing.T) {
	d := newDouble(t)
	d.must("group", "create", "-n", "rg")
	_, errs, _ := d.run("aks", "create", "-g", "rg", "-n", "demo")
	if !strings.Contains(errs, "Creating cluster demo (0.0 s) ControlPlaneReady: waiting for ControlPlaneReady\n") ||
		!strings.Contains(errs, "Creating cluster demo: Succeeded in ") {
		t.Errorf("progress was\n%s", errs)
	}
	if _, errs, _ := d.run("aks", "delete", "-g", "rg", "-n", "demo", "-y", "--only-show-errors"); errs != "" {
		t.Errorf("--only-show-errors showed %q", errs)
	}
}

func TestAFailedOperationSaysWhatTheServiceSays(t *testing.T) {
	d := newDouble(t)
	d.must("group", "create", "-n", "rg")
	d.failure = object{"code": "AllocationFailed", "message": "The host has no room for 3 nodes."}
	_, errs, code := d.run("aks", "create", "-g", "rg", "-n", "demo")
	if code != 1 || !strings.Contains(errs, "ERROR: (AllocationFailed) The host has no room for 3 nodes.\nCode: AllocationFailed\n") {
		t.Errorf("exit code %d:\n%s", code, errs)
	}
}

func TestInterruptedWaitingSaysThatTheOperationGoesOn(t *testing.T) {
	d := newDouble(t)
	d.must("group", "create", "-n", "rg")
	d.phases = slices.Repeat([]string{"ControlPlaneReady"}, 10_000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d.onPoll = cancel
	errs, code := d.runWith(ctx, "aks", "create", "-g", "rg", "-n", "demo")
	if code != 130 || !strings.Contains(errs, "Creating cluster demo goes on in the service; look at it with: berth aks show --resource-group rg --name demo") {
		t.Errorf("exit code %d:\n%s", code, errs)
	}
}

func TestADeleteWithoutConsentChangesNothing(t *testing.T) {
	d := withCluster(t)
	if _, errs, code := d.run("aks", "delete", "-g", "rg", "-n", "demo"); code != 2 || !strings.Contains(errs, "--yes") {
		t.Errorf("without a terminal: exit code %d: %s", code, errs)
	}
	var out, errs strings.Builder
	s := d.session(&out, &errs)
	s.Interactive, s.In = true, strings.NewReader("maybe\nn\n")
	if code := Run(t.Context(), s, []string{"aks", "delete", "-g", "rg", "-n", "demo"}); code != 1 || strings.Count(errs.String(), "(y/n)") != 2 {
		t.Errorf("declined: exit code %d: %s", code, errs.String())
	}
	d.must("aks", "show", "-g", "rg", "-n", "demo")
	s = d.session(&out, &errs)
	s.Interactive, s.In = true, strings.NewReader("y\n")
	if code := Run(t.Context(), s, []string{"aks", "delete", "-g", "rg", "-n", "demo"}); code != 0 {
		t.Errorf("consented: exit code %d: %s", code, errs.String())
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	d := withCluster(t)
	d.refuse["PUT /subscriptions/"+subscription+"/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/demo"] =
		refusal{http.StatusConflict, `{"error":{"code":"OperationNotAllowed","message":"Another operation is in progress."}}`}
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a running operation", []string{"aks", "scale", "-g", "rg", "-n", "demo", "-c", "2"}, 1, "wait until the running operation has ended"},
		{"no such group", []string{"aks", "create", "-g", "none", "-n", "x"}, 3, "berth group create"},
		{"no such cluster", []string{"aks", "show", "-g", "rg", "-n", "none"}, 3, "berth aks list"},
		{"no such pool", []string{"aks", "scale", "-g", "rg", "-n", "demo", "-c", "1", "--nodepool-name", "none"}, 1, "berth aks nodepool list"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, errs, code := d.run(test.args...)
			if code != test.code || !strings.Contains(errs, test.want) {
				t.Errorf("exit code %d, want %d, and %q in\n%s", code, test.code, test.want, errs)
			}
		})
	}
}

func TestNoLoginAndNoServiceAreToldApart(t *testing.T) {
	d := newDouble(t)
	var out, errs strings.Builder
	s := d.session(&out, &errs)
	s.LoginFiles = []string{filepath.Join(t.TempDir(), "none.json")}
	if code := Run(t.Context(), s, []string{"aks", "list"}); code != 1 || !strings.Contains(errs.String(), "berth login") {
		t.Errorf("not logged in: exit code %d: %s", code, errs.String())
	}
	errs.Reset()
	s = d.session(&out, &errs)
	d.Close()
	start := time.Now()
	code := Run(t.Context(), s, []string{"aks", "list"})
	if code != 1 || !strings.Contains(errs.String(), "no answer from https://127.0.0.1") || !strings.Contains(errs.String(), "berth up") {
		t.Errorf("service down: exit code %d: %s", code, errs.String())
	}
	if waited := time.Since(start); waited > time.Second {
		t.Errorf("it took %s to say that nothing listens", waited)
	}
}

func TestAnotherServicesCertificateIsRefused(t *testing.T) {
	d := newDouble(t)
	other, err := pki.NewAuthority("another install", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	d.ca = other.CertificatePEM()
	if _, errs, code := d.run("aks", "list"); code != 1 || !strings.Contains(errs, "another certificate") || len(d.requests) > 0 {
		t.Errorf("exit code %d, requests %v: %s", code, d.requests, errs)
	}
}

func TestTheSecretStaysOutOfAllOutput(t *testing.T) {
	d := withCluster(t)
	for _, args := range [][]string{
		{"aks", "list", "--debug"},
		{"aks", "get-credentials", "-g", "rg", "-n", "demo", "-f", filepath.Join(t.TempDir(), "config"), "--debug"},
	} {
		out, errs, code := d.run(args...)
		if code != 0 || !strings.Contains(errs, "REQUEST/RESPONSE") {
			t.Fatalf("exit code %d, and --debug showed nothing: %s", code, errs)
		}
		for _, word := range []string{secret, "the-token", "a2V5"} {
			if strings.Contains(out+errs, word) {
				t.Errorf("berth %s showed %q", strings.Join(args, " "), word)
			}
		}
	}
}

func TestAScaleThatOthersGetInBeforeIsTriedAgain(t *testing.T) {
	d := withCluster(t)
	stale := 2
	d.onRequest = func(r *http.Request) {
		if r.Method == http.MethodPut && stale > 0 { // somebody else has written since the read
			stale--
			d.resources[strings.ToLower(r.URL.Path)]["eTag"] = "changed"
		}
	}
	d.must("aks", "scale", "-g", "rg", "-n", "demo", "-c", "5")
	if got := d.must("aks", "show", "-g", "rg", "-n", "demo", "--query", "agentPoolProfiles[0].count"); got != "5\n" || stale != 0 {
		t.Errorf("the count is %q after %d stale writes", got, 2-stale)
	}
}

func TestTheEnvironmentNamesDefaults(t *testing.T) {
	d := withCluster(t)
	var out, errs strings.Builder
	s := d.session(&out, &errs)
	s.Getenv = func(name string) string { return map[string]string{"BERTH_DEFAULTS_GROUP": "rg"}[name] }
	if code := Run(t.Context(), s, []string{"aks", "show", "-n", "demo", "--query", "name"}); code != 0 || out.String() != "\"demo\"\n" {
		t.Errorf("exit code %d, printed %q: %s", code, out.String(), errs.String())
	}
}

func TestWaitingEndsWhenTheResourceHasFailed(t *testing.T) {
	d := withCluster(t)
	for _, resource := range d.resources {
		resource["properties"].(object)["provisioningState"] = "Failed"
	}
	if _, errs, code := d.run("aks", "wait", "-g", "rg", "-n", "demo", "--created"); code != 1 || !strings.Contains(errs, "provisioning state Failed") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if _, errs, code := d.run("aks", "wait", "-g", "rg", "-n", "demo", "--deleted", "--timeout", "0"); code != 1 || !strings.Contains(errs, "in vain") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	d.must("aks", "wait", "-g", "rg", "-n", "demo", "--exists")
}

func TestAnotherSubscriptionIsAskedWhereOneIsNamed(t *testing.T) {
	d := newDouble(t)
	d.must("aks", "list", "--subscription", "44444444-4444-4444-4444-444444444444")
	want := []string{"GET /subscriptions/44444444-4444-4444-4444-444444444444/providers/Microsoft.ContainerService/managedClusters"}
	if !slices.Equal(d.requests, want) {
		t.Errorf("sent %v, want %v", d.requests, want)
	}
}

func TestCredentialsOfANewClusterAskBeforeTheyReplaceTheOld(t *testing.T) {
	d := withCluster(t)
	file := filepath.Join(t.TempDir(), "config")
	get := []string{"aks", "get-credentials", "-g", "rg", "-n", "demo", "-f", file}
	d.must(get...)
	d.certificate = "bmV3"
	if _, errs, code := d.run(get...); code != 1 || !strings.Contains(errs, "--overwrite-existing") {
		t.Errorf("without a terminal: exit code %d: %s", code, errs)
	}
	var out, errs strings.Builder
	s := d.session(&out, &errs)
	s.Interactive, s.In = true, strings.NewReader("y\n")
	if code := Run(t.Context(), s, get); code != 0 || !strings.Contains(errs.String(), `Merged "demo" as current context`) {
		t.Errorf("consented: exit code %d: %s", code, errs.String())
	}
	d.certificate = "bmV3ZXI="
	d.must(append(get, "--overwrite-existing")...)
	if content, err := os.ReadFile(file); err != nil || !strings.Contains(string(content), d.certificate) {
		t.Errorf("the file has not the newest credentials: %v", err)
	}
}

func TestALoginThatTheServiceDoesNotKnowIsToldInItsWords(t *testing.T) {
	d := newDouble(t)
	d.secret = "an-old-secret"
	_, errs, code := d.run("aks", "list", "--debug")
	if code != 1 || !strings.Contains(errs, "ERROR: getting a token: (invalid_client) AADSTS7000215") || !strings.Contains(errs, "berth login") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if strings.Contains(errs, d.secret) {
		t.Errorf("the secret is in\n%s", errs)
	}
}
