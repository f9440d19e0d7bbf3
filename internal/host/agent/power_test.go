package agent

import (
	"testing"

	ctrl "sigs.k8s.io/controller-runtime"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

func TestAStoppedControlPlaneKeepsItsAddressAndDataAndComesBack(t *testing.T) {
	w := newWorld(t, controlPlane(), credentials(t))
	r := w.controlPlanes()
	until(t, r, incarnation, settledDown)
	var object containerservice.ControlPlane
	w.get(t, &object, incarnation)
	set := func(state meta.PowerState) {
		t.Helper()
		w.get(t, &object, incarnation)
		object.Spec.PowerState = state
		if err := w.client.Update(t.Context(), &object); err != nil {
			t.Fatal(err)
		}
	}
	set(meta.PowerStopped)
	if result := until(t, r, incarnation, once); result.RequeueAfter != deleting {
		t.Fatalf("the processes were stopped at once: %+v", result)
	}
	w.get(t, &object, incarnation)
	expect(t, object.Status.Conditions, containerservice.ConditionStopped, "False", "stopping")
	until(t, r, incarnation, settledDown)
	w.get(t, &object, incarnation)
	expect(t, object.Status.Conditions, containerservice.ConditionStopped, "True", "")
	expect(t, object.Status.Conditions, containerservice.ConditionReady, "False", "Stopped")
	if _, there := w.fabric.Endpoint(incarnation); !there {
		t.Error("the address went with the processes")
	}
	if _, there := w.runtime.Desired(incarnation); !there || len(object.Status.Components) != 0 {
		t.Errorf("the data is there: %t; components %+v", there, object.Status.Components)
	}
	set(meta.PowerRunning)
	until(t, r, incarnation, settledDown)
	w.get(t, &object, incarnation)
	expect(t, object.Status.Conditions, containerservice.ConditionReady, "True", "")
	for _, c := range object.Status.Conditions {
		if c.Type == containerservice.ConditionStopped {
			t.Errorf("a running control plane says %+v", c)
		}
	}
}

func TestAStoppedMachineIsNotStartedAgainAndKeepsItsDisk(t *testing.T) {
	w := newWorld(t, aMachine(), aCluster(), controlPlane(), credentials(t), identity(), aNetwork())
	until(t, w.networks(), incarnation, settledDown)
	r := w.machines()
	until(t, r, machineName, settledDown)
	var object containerservice.Machine
	w.get(t, &object, machineName)
	object.Spec.PowerState = meta.PowerStopped
	if err := w.client.Update(t.Context(), &object); err != nil {
		t.Fatal(err)
	}
	until(t, r, machineName, settledDown)
	for range 3 { // however often it is looked at
		until(t, r, machineName, func(result ctrl.Result) bool { return settledDown(result) })
		w.get(t, &object, machineName)
		expect(t, object.Status.Conditions, containerservice.ConditionStopped, "True", "no process runs")
		expect(t, object.Status.Conditions, containerservice.ConditionProvisioned, "False", "Stopped")
	}
	if ids, err := w.deps.Provider.List(t.Context()); err != nil || len(ids) != 1 {
		t.Errorf("of the machine there is %v, %v", ids, err)
	}
}
