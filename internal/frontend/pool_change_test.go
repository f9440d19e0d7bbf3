package frontend_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/naming"
)

func TestWhatAPoolHasForLifeIsRefusedWithTheWayThatWorks(t *testing.T) {
	r := made(t)
	for property, value := range map[string]string{
		"vmSize": `"Standard_B2s"`, "osDiskSizeGB": `64`, "osDiskType": `"Ephemeral"`, "maxPods": `50`, "vnetSubnetID": `"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/s"`, "availabilityZones": `["1"]`,
		"kubeletConfig": `{"podMaxPids":100}`, "linuxOSConfig": `{"sysctls":{"netCoreSomaxconn":8192}}`,
	} {
		for path, c := range map[string]struct{ path, body, at string }{
			"the pool's":    {poolCall(""), poolOf(`"` + property + `":` + value), "properties." + property},
			"the cluster's": {clusterPath, `{"location":"local","properties":{"agentPoolProfiles":[{"name":"nodepool1","mode":"System","` + property + `":` + value + `}]}}`, "properties.agentPoolProfiles[0]." + property},
		} {
			t.Run(property+" by "+path+" path", func(t *testing.T) {
				a := r.call(http.MethodPut, c.path, c.body)
				check(t, a, want{400, "PropertyChangeNotAllowed", c.at, "az aks nodepool add"})
				if r.writes != 0 {
					t.Errorf("%d objects were written", r.writes)
					r.writes = 0
				}
			})
		}
	}
	// Writing back what is there changes nothing.
	if a := r.call(http.MethodPut, poolCall(""), poolOf(`"vmSize":"standard_ds2_V2","osDiskType":"managed","maxPods":250,"osDiskSizeGB":0`)); a.status != http.StatusOK {
		t.Errorf("writing back: %d %s", a.status, a.raw)
	}
}

func TestTheScaleDownModeOfAPoolIsKeptAndGivenBack(t *testing.T) {
	r := made(t)
	for _, c := range []struct {
		sent, told string
		mode       containerservicev1alpha1.ScaleDownMode
	}{
		{`"scaleDownMode":"Deallocate"`, "Deallocate", containerservicev1alpha1.ScaleDownDeallocate},
		{`"count":2`, "Deallocate", containerservicev1alpha1.ScaleDownDeallocate},
		{`"scaleDownMode":"Delete"`, "Delete", ""},
	} {
		a := r.call(http.MethodPut, poolCall(""), poolOf(c.sent))
		r.finish()
		if a.status != http.StatusOK || !strings.Contains(a.raw, `"scaleDownMode":"`+c.told+`"`) || r.cluster().AgentPool("nodepool1").ScaleDownMode != c.mode {
			t.Errorf("%s: %d, the mode is %q: %s", c.sent, a.status, r.cluster().AgentPool("nodepool1").ScaleDownMode, a.raw)
		}
	}
	check(t, r.call(http.MethodPut, poolCall(""), poolOf(`"scaleDownMode":"Hibernate"`)), want{400, "", "properties.scaleDownMode", "Deallocate"})
	check(t, r.call(http.MethodPut, poolCall(""), poolOf(`"scaleDownMode":"Deallocate","osDiskType":"Ephemeral"`)), want{400, "", "", ""})
}

func TestDeletingADeallocatedMachineLeavesTheCount(t *testing.T) {
	r := made(t)
	cluster := r.cluster()
	pool := &cluster.Spec.AgentPools[0]
	pool.Count, pool.Mode = 2, "System"
	if err := r.store.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"aks-one", "aks-two"} {
		spec := containerservicev1alpha1.MachineSpec{ClusterName: cluster.Name, AgentPoolName: naming.AgentPool(pool.Name, pool.Incarnation), NodeName: name,
			Incarnation: naming.Incarnation(), BootstrapTokenID: "abcdef"}
		if name == "aks-two" {
			spec.PowerState, spec.Drain = meta.PowerStopped, &containerservicev1alpha1.MachineDrain{Then: containerservicev1alpha1.AfterDrainDeallocate, Deadline: metav1.NewTime(time.Now().Add(time.Hour))}
		}
		if err := r.store.Create(t.Context(), &containerservicev1alpha1.Machine{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}); err != nil {
			t.Fatal(err)
		}
	}
	if a := r.call(http.MethodPost, poolCall("/deleteMachines"), `{"machineNames":["AKS-one","aks-two","aks-one"]}`); a.status != http.StatusAccepted {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if after := r.cluster().AgentPool("nodepool1"); after.Count != 1 || len(after.LeavingMachines) != 2 {
		t.Errorf("the count is %d, leaving are %v; want 1 and both", after.Count, after.LeavingMachines)
	}
}

func TestAWindowsPoolIsNotSupportedAndSaysWhatIsMissing(t *testing.T) {
	r := made(t)
	check(t, r.call(http.MethodPut, strings.Replace(poolCall(""), "nodepool1", "win", 1), `{"properties":{"mode":"User","osType":"Windows"}}`),
		want{400, "PropertyNotSupported", "properties.osType", "they need virtual machines and a Windows node image"})
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
}
