package cli

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	demoPath  = "/subscriptions/" + subscription + "/resourcegroups/rg/providers/microsoft.containerservice/managedclusters/demo"
	berthPath = "/subscriptions/" + subscription + "/resourcegroups/rg/providers/berth.containerservice/managedclusters/demo"
)

// on names the cluster behind the words of a command.
func on(words ...string) []string { return append(words, "-g", "rg", "-n", "demo") }

// sent are the requests that changed anything, or asked for it.
func (d *double) sent() (requests []string) {
	for _, request := range d.requests {
		if !strings.HasPrefix(request, http.MethodGet) {
			requests = append(requests, request)
		}
	}
	return requests
}

// upgrading is a cluster with two pools whose control plane emulates.
func upgrading(t *testing.T) *double {
	d := withCluster(t)
	d.must("aks", "nodepool", "add", "-g", "rg", "--cluster-name", "demo", "-n", "extra", "-c", "1")
	properties := d.resources[demoPath]["properties"].(object)
	pools, _ := properties["agentPoolProfiles"].([]any)
	properties["agentPoolProfiles"] = append(pools, object{"name": "extra", "count": 1, "orchestratorVersion": "1.35.4"})
	d.resources[berthPath+"/upgrade"] = object{"name": "upgrade", "properties": object{
		"kubernetesVersion": "1.36.3", "currentKubernetesVersion": "1.35.4", "binaryVersion": "1.36.3", "emulatedVersion": "1.35",
		"provisioningState": "Succeeded", "canRollBack": true, "liftTime": "2026-11-22T00:00:00Z",
	}}
	d.requests = nil
	return d
}

// versions are what the last PUT asked for: of the control plane, then of each pool.
func (d *double) versions() (versions []string) {
	d.t.Helper()
	data, err := json.Marshal(d.resources[demoPath])
	if err != nil {
		d.t.Fatal(err)
	}
	var cluster struct {
		Properties struct {
			KubernetesVersion string
			AgentPoolProfiles []struct{ Name, OrchestratorVersion string }
		}
	}
	if err := json.Unmarshal(data, &cluster); err != nil {
		d.t.Fatal(err)
	}
	versions = append(versions, cluster.Properties.KubernetesVersion)
	for _, pool := range cluster.Properties.AgentPoolProfiles {
		versions = append(versions, pool.Name+" "+pool.OrchestratorVersion)
	}
	return versions
}

func TestAnUpgradeAsksForTheVersionOfAllPoolsUnlessItIsOfTheControlPlaneOnly(t *testing.T) {
	d := upgrading(t)
	before := d.versions()
	d.must(on("aks", "upgrade", "-k", "1.36.3", "--control-plane-only", "--yes")...)
	if got := d.versions(); got[0] != "1.36.3" || !slices.Equal(got[1:], before[1:]) {
		t.Errorf("of the control plane only: %v, before %v", got, before)
	}
	d.must(on("aks", "upgrade", "-k", "1.36.3", "--yes")...)
	if got, want := d.versions(), []string{"1.36.3", "nodepool1 1.36.3", "extra 1.36.3"}; !slices.Equal(got, want) {
		t.Errorf("of all: %v, want %v", got, want)
	}
}

func TestAnUpgradeIsAskedForBeforeAnythingIsSent(t *testing.T) {
	for _, words := range [][]string{
		{"aks", "upgrade", "-k", "1.36.3"}, {"aks", "upgrade", "--node-image-only"}, {"aks", "lift"}, {"aks", "rollback"},
	} {
		d := upgrading(t)
		_, errs, code := d.run(on(words...)...)
		if code == 0 || !strings.Contains(errs, "--yes") || len(d.sent()) > 0 {
			t.Errorf("berth %s: exit code %d, sent %v: %s", strings.Join(words, " "), code, d.sent(), errs)
		}
	}
}

func TestOptionsOfAnUpgradeThatExcludeEachOtherAreRefused(t *testing.T) {
	d := upgrading(t)
	for _, words := range [][]string{
		{"aks", "upgrade", "--yes"},
		{"aks", "upgrade", "--node-image-only", "-k", "1.36.3", "--yes"},
		{"aks", "upgrade", "--node-image-only", "--control-plane-only", "--yes"},
	} {
		if _, errs, code := d.run(on(words...)...); code == 0 || len(d.requests) > 0 {
			t.Errorf("berth %s: exit code %d, sent %v: %s", strings.Join(words, " "), code, d.requests, errs)
		}
	}
}

func TestADryRunListsWhatStandsInTheWayFailsAndChangesNothing(t *testing.T) {
	d := upgrading(t)
	report := object{"kubernetesVersion": "1.36.3", "currentKubernetesVersion": "1.35.4", "upgrades": true, "findings": []object{}}
	d.resources[berthPath+"/preflightupgrade"] = report
	words := on("aks", "upgrade", "-k", "1.36.3", "--dry-run", "-o", "table")
	d.must(words...)
	report["findings"] = []object{{"code": "UnsatisfiablePDB", "target": "default/tight", "message": "allows no disruption now"}}
	out, errs, code := d.run(words...)
	if code == 0 || !strings.Contains(out, "UnsatisfiablePDB") || !strings.Contains(out, "allows no disruption now") || !strings.Contains(errs, "default/tight") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	for _, request := range d.sent() {
		if !strings.HasSuffix(request, "/preflightUpgrade") {
			t.Errorf("a dry run sent %s", request)
		}
	}
}

func TestALiftAndARollbackWaitAndShowHowTheUpgradeStands(t *testing.T) {
	for _, action := range []string{"lift", "rollback"} {
		d := upgrading(t)
		out := d.must(on("aks", action, "--yes", "--query", "properties.currentKubernetesVersion", "-o", "tsv")...)
		if sent := d.sent(); len(sent) != 1 || !strings.HasSuffix(sent[0], "/demo/"+action) || !strings.HasPrefix(sent[0], http.MethodPost) || out != "1.35.4\n" {
			t.Errorf("berth aks %s sent %v and printed %q", action, sent, out)
		}
		d.failure = object{"code": "ControlPlaneUpgradeRolledBack", "message": "it was not healthy"}
		if _, errs, code := d.run(on("aks", action, "--yes")...); code == 0 || !strings.Contains(errs, "it was not healthy") {
			t.Errorf("a failed %s: exit code %d: %s", action, code, errs)
		}
	}
}

func TestTheStatusOfAnUpgradeShowsBothVersions(t *testing.T) {
	d := upgrading(t)
	lines := strings.Split(d.must(on("aks", "upgrade-status", "-o", "table")...), "\n")
	for _, want := range []string{"KubernetesVersion", "Served", "Binaries", "CanRollBack", "LiftTime"} {
		if !slices.Contains(strings.Fields(lines[0]), want) {
			t.Errorf("there is no column %s: %s", want, lines[0])
		}
	}
	if row := strings.Fields(lines[2]); len(row) < 6 || !slices.Equal(row[:6], []string{"1.36.3", "1.35.4", "1.36.3", "Succeeded", "True", "2026-11-22T00:00:00Z"}) {
		t.Errorf("the row is %q", row)
	}
}

func TestTheUpgradesOfAClusterAreListed(t *testing.T) {
	d := upgrading(t)
	path := demoPath + "/upgradeprofiles/default"
	profile := func(upgrades ...object) {
		d.resources[path] = object{"id": path, "name": "default", "properties": object{
			"controlPlaneProfile": object{"kubernetesVersion": "1.35.4", "upgrades": upgrades}, "agentPoolProfiles": []object{},
		}}
	}
	profile(object{"kubernetesVersion": "1.35.6"}, object{"kubernetesVersion": "1.36.3"})
	if out := d.must(on("aks", "get-upgrades", "-o", "table")...); !strings.Contains(out, "1.35.6, 1.36.3") || !strings.Contains(out, "1.35.4") {
		t.Errorf("printed\n%s", out)
	}
	profile()
	if out := d.must(on("aks", "get-upgrades", "-o", "table")...); !strings.Contains(out, "None available") {
		t.Errorf("without any it printed\n%s", out)
	}
}

func TestTheNodeImageIsUpgradedPoolByPool(t *testing.T) {
	d := upgrading(t)
	d.must(on("aks", "upgrade", "--node-image-only", "--yes")...)
	var pools []string
	for _, request := range d.sent() {
		before, found := strings.CutSuffix(request, "/upgradeNodeImageVersion")
		if !found {
			t.Errorf("it sent %s", request)
		}
		pools = append(pools, before[strings.LastIndex(before, "/")+1:])
	}
	if !slices.Contains(pools, "extra") {
		t.Errorf("it upgraded the pools %v", pools)
	}
}
