package frontend_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	hostv1alpha1 "berth.dev/berth/api/host/v1alpha1"
	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/upgrade"
)

const aPool = groupPath + "/providers/Microsoft.ContainerService/managedClusters/demo/agentPools/nodepool1"

func poolCall(action string) string { return aPool + action + "?api-version=2025-02-01" }

// poolOf is a PUT of the pool with some properties.
func poolOf(properties string) string { return `{"properties":{"mode":"System",` + properties + `}}` }

func TestAPoolsUpgradeThatMayNotBeIsRefusedAndChangesNothing(t *testing.T) {
	r := made(t)
	const at = "properties.orchestratorVersion"
	for name, c := range map[string]struct {
		method, path, body string
		want               want
	}{
		"above the control plane":  {"PUT", poolCall(""), poolOf(`"orchestratorVersion":"1.36.3"`), want{400, "NodePoolMcVersionIncompatible", at, "Upgrade the control plane first"}},
		"a downgrade":              {"PUT", poolCall(""), poolOf(`"orchestratorVersion":"1.34.3"`), want{400, "OperationNotAllowed", at, "rollback"}},
		"nothing may move":         {"PUT", poolCall(""), poolOf(`"upgradeSettings":{"maxSurge":"0","maxUnavailable":"0"}`), want{400, "InvalidParameter", "properties.upgradeSettings.maxSurge", "could ever be replaced"}},
		"drain time out of range":  {"PUT", poolCall(""), poolOf(`"upgradeSettings":{"drainTimeoutInMinutes":1441}`), want{400, "", "properties.upgradeSettings.drainTimeoutInMinutes", ""}},
		"a surge that is no share": {"PUT", poolCall(""), poolOf(`"upgradeSettings":{"maxSurge":"many"}`), want{400, "", "properties.upgradeSettings.maxSurge", ""}},
		"a soak out of range":      {"PUT", poolCall(""), poolOf(`"upgradeSettings":{"nodeSoakDurationInMinutes":31}`), want{400, "", "properties.upgradeSettings.nodeSoakDurationInMinutes", ""}},
		"an unknown behavior":      {"PUT", poolCall(""), poolOf(`"upgradeSettings":{"undrainableNodeBehavior":"Delete"}`), want{400, "", "properties.upgradeSettings.undrainableNodeBehavior", ""}},
		"the last System pool":     {"PUT", poolCall(""), poolOf(`"powerState":{"code":"Stopped"}`), want{400, "OperationNotAllowed", "properties.powerState.code", "Stop the cluster instead"}},
		"nothing to roll back":     {"POST", strings.Replace(aPool, "Microsoft.", "Berth.", 1) + "/rollback?api-version=2026-11-01", "", want{409, "OperationNotAllowed", "", "cannot be rolled back"}},
		"no machine of that name":  {"POST", poolCall("/deleteMachines"), `{"machineNames":["other"]}`, want{400, "InvalidParameter", "machineNames[0]", "no machine"}},
		"no machine at all":        {"POST", poolCall("/deleteMachines"), `{"machineNames":[]}`, want{400, "InvalidParameter", "machineNames", "at least one"}},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, r.call(c.method, c.path, c.body), c.want)
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
				r.writes = 0
			}
		})
	}
}

func TestUpgradeSettingsOfAPoolAreKeptAndGivenBack(t *testing.T) {
	r := made(t)
	answer := r.call(http.MethodPut, poolCall(""), poolOf(`"upgradeSettings":{"maxSurge":"33%","drainTimeoutInMinutes":7}`))
	if answer.status != http.StatusOK {
		t.Fatalf("%d %s", answer.status, answer.raw)
	}
	settings := r.cluster().AgentPool("nodepool1").UpgradeSettings
	if settings.MaxSurge != "33%" || settings.DrainTimeoutInMinutes != 7 || !strings.Contains(answer.raw, `"maxSurge":"33%"`) {
		t.Errorf("settings = %+v, answer %s", settings, answer.raw)
	}
}

// behind is a cluster whose pool is a patch older than its control plane, with
// what a preflight finds in it.
func behind(t *testing.T, tenant ...client.Object) *rig {
	t.Helper()
	r := made(t, func(config *frontend.Config) {
		config.DialTenant = func(context.Context, *containerservicev1alpha1.ManagedCluster) (client.Reader, func(), error) {
			return fake.NewClientBuilder().WithObjects(tenant...).Build(), func() {}, nil
		}
	})
	cluster := r.cluster()
	cluster.Spec.AgentPools[0].OrchestratorVersion = "1.35.3"
	if err := r.store.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	r.writes = 0
	return r
}

func TestAPoolIsNotUpgradedAheadOfAControlPlaneThatIsNotLifted(t *testing.T) {
	r := behind(t)
	r.call(http.MethodPut, clusterPath, upgradeTo("1.36.3"))
	r.finish()
	r.writes = 0
	check(t, r.call(http.MethodPut, poolCall(""), poolOf(`"orchestratorVersion":"1.36.3"`)),
		want{400, "NodePoolMcVersionIncompatible", "properties.orchestratorVersion", "berth aks lift"})
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
	// What the control plane serves it may have, and after the lift all.
	if a := r.call(http.MethodPut, poolCall(""), poolOf(`"orchestratorVersion":"1.35.4"`)); a.status != http.StatusOK {
		t.Errorf("to the version that is served: %d %s", a.status, a.raw)
	}
	r.finish()
	r.call(http.MethodPost, berth("lift"), "")
	r.finish()
	if a := r.call(http.MethodPut, poolCall(""), poolOf(`"orchestratorVersion":"1.36.3"`)); a.status != http.StatusOK {
		t.Errorf("after the lift: %d %s", a.status, a.raw)
	}
}

// guardedPod is a node of the pool, a pod on it, and a budget of the pod's that
// allows no disruption.
func guardedPod(namespace string, labels map[string]string) []client.Object {
	app := map[string]string{"app": "web"}
	return []client.Object{
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", Labels: map[string]string{upgrade.PoolLabel: "nodepool1"}}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web", Labels: app}, Spec: corev1.PodSpec{NodeName: "node"}},
		&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tight", Labels: labels},
			Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: app}}},
	}
}

func TestAPoolsUpgradeIsLookedOverBeforeAnythingMoves(t *testing.T) {
	guarded := guardedPod("default", nil)
	mark := map[string]string{"addonmanager.kubernetes.io/mode": "Reconcile"}
	const at = "properties.orchestratorVersion"
	for name, c := range map[string]struct {
		tenant []client.Object
		more   string
		cpus   int32
		want   want
	}{
		"a budget that allows nothing":    {guarded, "", 16, want{400, "UnsatisfiablePDB", at, "default/tight"}},
		"an add-on's that allows nothing": {guardedPod("kube-system", mark), "", 16, want{200, "", "", ""}},
		"an owner's beside the add-ons":   {guardedPod("kube-system", nil), "", 16, want{400, "UnsatisfiablePDB", at, "kube-system/tight"}},
		"an owner's with their mark":      {guardedPod("default", mark), "", 16, want{400, "UnsatisfiablePDB", at, "default/tight"}},
		"no room for the surge":           {nil, "", 2, want{400, "AllocationFailed", at, "no room for 1 more nodes"}},
		"no room for a larger surge":      {nil, `,"upgradeSettings":{"maxSurge":"3"}`, 6, want{400, "AllocationFailed", at, "no room for 3 more nodes"}},
		"no room and no surge":            {nil, `,"upgradeSettings":{"maxSurge":"0","maxUnavailable":"1"}`, 2, want{200, "", "", ""}},
		"room, and a budget elsewhere":    {guarded[1:], "", 4, want{200, "", "", ""}},
		"a version that is not offered":   {nil, "", 16, want{400, "AgentPoolK8sVersionNotSupported", at, "Supported are"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := behind(t, c.tenant...)
			r.capacity(c.cpus)
			version := "1.35.4"
			if c.want.code == "AgentPoolK8sVersionNotSupported" {
				version = "1.99.9"
			}
			a := r.call(http.MethodPut, poolCall(""), poolOf(`"orchestratorVersion":"`+version+`"`+c.more))
			check(t, a, c.want)
			if (r.writes == 0) != (c.want.status != http.StatusOK) {
				t.Errorf("%d objects were written for the answer %d", r.writes, a.status)
			}
		})
	}
}

func TestAnImageUpgradeIsLookedOverBeforeAnythingMoves(t *testing.T) {
	inMemory(t, "it changes the pod range of a cluster that is there, which a real API refuses")
	guarded := guardedPod("default", nil)
	for name, c := range map[string]struct {
		tenant []client.Object
		image  string
		pods   string
		cpus   int32
		want   want
	}{
		"a budget that allows nothing": {guarded, "old", "10.244.0.0/16", 16, want{400, "UnsatisfiablePDB", "", "default/tight"}},
		"no room for the surge":        {nil, "old", "10.244.0.0/16", 2, want{400, "AllocationFailed", "", "no room for 1 more nodes"}},
		"no address for the surge":     {nil, "old", "10.244.0.0/24", 16, want{400, "InsufficientSubnetSize", "", "room for 1 nodes, of which 1 are taken"}},
		"nothing in the way":           {nil, "old", "10.244.0.0/16", 16, want{202, "", "", ""}},
		"nothing to do":                {guarded, release.NodeImageName, "10.244.0.0/24", 2, want{200, "", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			r := behind(t, c.tenant...)
			r.capacity(c.cpus)
			cluster := r.cluster()
			cluster.Spec.Network.PodCIDR = c.pods
			if err := r.store.Update(t.Context(), cluster); err != nil {
				t.Fatal(err)
			}
			pool := cluster.Spec.AgentPools[0]
			machine := &containerservicev1alpha1.Machine{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: containerservicev1alpha1.MachineSpec{
				ClusterName: cluster.Name, AgentPoolName: naming.AgentPool(pool.Name, pool.Incarnation), NodeName: "node",
			}, Status: containerservicev1alpha1.MachineStatus{NodeImage: c.image}}
			if err := r.store.Create(t.Context(), machine); err != nil {
				t.Fatal(err)
			}
			r.writes = 0
			check(t, r.call(http.MethodPost, poolCall("/upgradeNodeImageVersion"), ""), c.want)
			if (r.writes == 0) != (c.want.status != http.StatusAccepted) {
				t.Errorf("%d objects were written", r.writes)
			}
		})
	}
}

// capacity is what the only host gives out, with memory in plenty.
func (r *rig) capacity(cpus int32) {
	r.t.Helper()
	host := &hostv1alpha1.Host{}
	if err := r.store.Get(r.t.Context(), client.ObjectKey{Name: "local"}, host); err != nil {
		r.t.Fatal(err)
	}
	host.Spec.CPUOvercommit, host.Status.CPUs, host.Status.MemoryMiB = 1, cpus, 1<<20
	if err := r.store.Status().Update(r.t.Context(), host); err != nil {
		r.t.Fatal(err)
	}
	host.Spec.CPUOvercommit = 1
	if err := r.store.Update(r.t.Context(), host); err != nil {
		r.t.Fatal(err)
	}
	r.writes = 0
}
