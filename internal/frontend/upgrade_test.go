package frontend_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

const berthPath = groupPath + "/providers/Berth.ContainerService/managedClusters/demo/"

// upgradeTo is a PUT of a cluster with another version of the control plane.
func upgradeTo(version string) string {
	return `{"location":"local","properties":{"kubernetesVersion":"` + version + `"}}`
}

func berth(action string) string { return berthPath + action + "?api-version=2026-11-01" }

func TestAVersionThatTheClusterMayNotHaveIsRefusedAndChangesNothing(t *testing.T) {
	r := made(t)
	forced := func(settings string) string {
		return `{"location":"local","properties":{"upgradeSettings":{"overrideSettings":` + settings + `}}}`
	}
	const at = "properties.kubernetesVersion"
	cases := map[string]struct {
		method, path, body string
		want               want
	}{
		"not offered":                {"PUT", clusterPath, upgradeTo("1.99.0"), want{400, "K8sVersionNotSupported", at, "Supported are"}},
		"no version at all":          {"PUT", clusterPath, upgradeTo("newest"), want{400, "K8sVersionNotSupported", at, "Supported are"}},
		"a downgrade":                {"PUT", clusterPath, upgradeTo("1.34.3"), want{400, "OperationNotAllowed", at, "downgrading it to 1.34.3 is not allowed"}},
		"an older patch":             {"PUT", clusterPath, upgradeTo("1.35.3"), want{400, "OperationNotAllowed", at, "downgrading"}},
		"forced without an end":      {"PUT", clusterPath, forced(`{"forceUpgrade":true}`), want{400, "InvalidParameter", "properties.upgradeSettings.overrideSettings.until", "until"}},
		"forced until no time":       {"PUT", clusterPath, forced(`{"forceUpgrade":true,"until":"tomorrow"}`), want{400, "", "", ""}},
		"nothing to lift":            {"POST", berth("lift"), "", want{409, "OperationNotAllowed", "", "nothing to lift"}},
		"nothing to roll back":       {"POST", berth("rollback"), "", want{409, "OperationNotAllowed", "", "was not upgraded"}},
		"a preflight of a downgrade": {"POST", berth("preflightUpgrade"), upgradeTo("1.34.3"), want{400, "OperationNotAllowed", at, "downgrading"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			check(t, r.call(c.method, c.path, c.body), c.want)
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
				r.writes = 0
			}
		})
	}
}

func TestAMinorIsNotSkipped(t *testing.T) {
	r := made(t)
	cluster := r.cluster()
	cluster.Spec.KubernetesVersion, cluster.Spec.RequestedVersion = "1.34.3", "1.34"
	if err := r.store.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	a := r.call(http.MethodPut, clusterPath, upgradeTo("1.36.3"))
	check(t, a, want{400, "OperationNotAllowed", "properties.kubernetesVersion", "skip a minor"})
	if !strings.Contains(a.raw, "1.35.4") {
		t.Errorf("it does not name what is next: %s", a.raw)
	}
}

func TestNamingTheMinorAgainUpgradesNothing(t *testing.T) {
	r := made(t)
	cluster := r.cluster()
	cluster.Spec.KubernetesVersion = "1.35.3"
	if err := r.store.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	if a := r.call(http.MethodPut, clusterPath, upgradeTo("1.35")); a.status != http.StatusOK {
		t.Fatalf("answered %d %s", a.status, a.raw)
	}
	cluster = r.cluster()
	if cluster.Spec.KubernetesVersion != "1.35.3" || cluster.Spec.Operations[0].Verb != meta.VerbUpdate {
		t.Errorf("the cluster is to run %s by %s", cluster.Spec.KubernetesVersion, cluster.Spec.Operations[0].Verb)
	}
}

func TestAPatchNeedsNoEmulation(t *testing.T) {
	r := made(t)
	cluster := r.cluster()
	cluster.Spec.KubernetesVersion = "1.35.3"
	if err := r.store.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	if a := r.call(http.MethodPut, clusterPath, upgradeTo("1.35.4")); a.status != http.StatusOK {
		t.Fatalf("answered %d %s", a.status, a.raw)
	}
	if cluster = r.cluster(); cluster.Spec.KubernetesVersion != "1.35.4" || cluster.Spec.Upgrade != nil || cluster.Spec.Operations[0].Verb != meta.VerbUpgrade {
		t.Errorf("the spec is %+v", cluster.Spec)
	}
}

func TestAnUpgradeOfTheControlPlaneAloneCanBeRolledBackUntilItIsLifted(t *testing.T) {
	r := made(t)
	if a := r.call(http.MethodPut, clusterPath, upgradeTo("1.36.3")); a.status != http.StatusOK {
		t.Fatalf("answered %d %s", a.status, a.raw)
	}
	check(t, r.call(http.MethodPost, berth("rollback"), ""), want{409, "OperationNotAllowed", "", "Upgrade on the managed cluster"})
	r.finish()
	cluster := r.cluster()
	u := cluster.Spec.Upgrade
	if u == nil || !u.ControlPlaneOnly || u.Soak.Duration != 24*time.Hour || u.FromVersion != "1.35.4" {
		t.Fatalf("the upgrade is %+v", u)
	}
	cluster.Status.CurrentKubernetesVersion = "1.35.4"
	cluster.Status.Upgrade = &containerservicev1alpha1.UpgradeStatus{BinaryVersion: "1.36.3", EmulatedVersion: "1.35"}
	if err := r.store.Status().Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	both := r.call(http.MethodGet, berth("upgrade"), "").body["properties"].(map[string]any)
	if both["currentKubernetesVersion"] != "1.35.4" || both["binaryVersion"] != "1.36.3" || both["emulatedVersion"] != "1.35" || both["canRollBack"] != true {
		t.Errorf("the upgrade shows as %v", both)
	}
	// A new pool has the version of the API that is served, and nothing else is upgraded before the lift.
	if a := r.call(http.MethodPut, clusterPath+"/agentPools/extra", `{"properties":{"count":0,"mode":"User"}}`); a.status != http.StatusCreated || !strings.Contains(a.raw, `"orchestratorVersion":"1.35.4"`) {
		t.Errorf("a new pool: %d %s", a.status, a.raw)
	}
	r.finish()
	check(t, r.call(http.MethodPut, clusterPath, upgradeTo("1.36.2")), want{400, "OperationNotAllowed", "", "Lift it first"})
	check(t, r.call(http.MethodPut, clusterPath, upgradeTo("1.35.4")), want{400, "OperationNotAllowed", "", "berth aks rollback"})
	if a := r.call(http.MethodPost, berth("rollback"), ""); a.status != http.StatusAccepted || a.header.Get("Location") == "" {
		t.Fatalf("answered %d %s", a.status, a.raw)
	}
	if cluster = r.cluster(); cluster.Spec.KubernetesVersion != "1.35.4" || cluster.Spec.RequestedVersion != "" && !strings.HasPrefix(cluster.Spec.RequestedVersion, "1.35") ||
		cluster.Spec.Upgrade != nil || cluster.Spec.Operations[0].Verb != meta.VerbRollback {
		t.Errorf("the spec is %+v", cluster.Spec)
	}
}

func TestALiftedUpgradeCannotBeTakenBack(t *testing.T) {
	r := made(t)
	r.call(http.MethodPut, clusterPath, upgradeTo("1.36.3"))
	r.finish()
	if a := r.call(http.MethodPost, berth("lift"), ""); a.status != http.StatusAccepted {
		t.Fatalf("answered %d %s", a.status, a.raw)
	}
	r.finish()
	check(t, r.call(http.MethodPost, berth("rollback"), ""), want{409, "OperationNotAllowed", "", "serves Kubernetes 1.36.3 already"})
	check(t, r.call(http.MethodPost, berth("lift"), ""), want{409, "OperationNotAllowed", "", "nothing to lift"})
}

func TestADeprecatedAPIInUseBlocksAMinorUnlessItIsForced(t *testing.T) {
	inMemory(t, "its control plane has a status and no spec")
	r := made(t)
	plane := &containerservicev1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: r.cluster().Spec.Incarnation}}
	plane.Status.DeprecatedAPIs = []containerservicev1alpha1.DeprecatedAPI{{
		Resource: "old.example/v1/things", RemovedRelease: "1.36", User: "dev", UserAgent: "helm", LastUsed: metav1.NewTime(time.Now().Add(-time.Hour)),
	}}
	if err := r.store.Create(t.Context(), plane); err != nil {
		t.Fatal(err)
	}
	r.writes = 0
	dry := r.call(http.MethodPost, berth("preflightUpgrade"), upgradeTo("1.36.3"))
	if dry.status != http.StatusOK || !strings.Contains(dry.raw, "UpgradeBlockedOnDeprecatedAPIUsage") || !strings.Contains(dry.raw, "helm") {
		t.Errorf("the preflight: %d %s", dry.status, dry.raw)
	}
	a := r.call(http.MethodPut, clusterPath, upgradeTo("1.36.3"))
	check(t, a, want{400, "ValidationError", "properties.kubernetesVersion", "old.example/v1/things"})
	if !strings.Contains(a.raw, "UpgradeBlockedOnDeprecatedAPIUsage") || r.writes != 0 {
		t.Errorf("%d writes: %s", r.writes, a.raw)
	}
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	a = r.call(http.MethodPut, clusterPath, `{"location":"local","properties":{"kubernetesVersion":"1.36.3","upgradeSettings":{"overrideSettings":{"forceUpgrade":true,"until":"`+until+`"}}}}`)
	if a.status != http.StatusOK || !strings.Contains(a.raw, until) {
		t.Errorf("forced: %d %s", a.status, a.raw)
	}
}
