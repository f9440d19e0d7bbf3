package agent

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	machinefake "berth.dev/berth/internal/machine/fake"
)

const diskID = "uvwxyzabcd"

func newDisk() *containerservice.Disk {
	return &containerservice.Disk{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-1", Generation: 1},
		Spec:       containerservice.DiskSpec{ClusterName: "demo", ClusterIncarnation: "abcdefghij", Incarnation: diskID, HostName: hostName, SizeGiB: 2},
	}
}

func TestADiskIsMadeBroughtIntoItsMachineAndRemoved(t *testing.T) {
	w := newWorld(t, newDisk())
	disks := &machinefake.Disks{Down: map[string]bool{}}
	w.deps.Disks = disks
	r := &diskReconciler{client: w.client, Dependencies: w.deps}
	look := func() (ctrl.Result, *containerservice.Disk) {
		t.Helper()
		result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "pvc-1"}})
		if err != nil {
			t.Fatal(err)
		}
		found := &containerservice.Disk{}
		if err := client.IgnoreNotFound(w.client.Get(t.Context(), client.ObjectKey{Name: "pvc-1"}, found)); err != nil {
			t.Fatal(err)
		}
		return result, found
	}
	if _, disk := look(); disk.Status.SizeGiB != 2 || disk.Status.Mounted || len(disk.Finalizers) != 1 {
		t.Errorf("made: %+v", disk.Status)
	}
	_, disk := look()
	disk.Spec.MachineIncarnation = "klmnopqrst"
	if err := w.client.Update(t.Context(), disk); err != nil {
		t.Fatal(err)
	}
	disks.Down["klmnopqrst"] = true
	if result, disk := look(); disk.Status.Mounted || result.RequeueAfter != deleting || disk.Status.MachineIncarnation != "klmnopqrst" {
		t.Errorf("in a machine that does not run: %+v, again in %v", disk.Status, result.RequeueAfter)
	}
	delete(disks.Down, "klmnopqrst")
	if result, disk := look(); !disk.Status.Mounted || result.RequeueAfter != resync {
		t.Errorf("in a machine: %+v, again in %v", disk.Status, result.RequeueAfter)
	}
	if err := w.client.Delete(t.Context(), disk); err != nil {
		t.Fatal(err)
	}
	if _, disk := look(); disk.Name != "" {
		t.Errorf("the object is still there: %+v", disk)
	}
	if left, err := disks.ListDisks(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestADiskForWhichThereIsNoRoomSaysSo(t *testing.T) {
	w := newWorld(t, newDisk())
	w.deps.Disks = &machinefake.Disks{Full: true}
	r := &diskReconciler{client: w.client, Dependencies: w.deps}
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "pvc-1"}}); err != nil {
		t.Fatal(err)
	}
	found := &containerservice.Disk{}
	if err := w.client.Get(t.Context(), client.ObjectKey{Name: "pvc-1"}, found); err != nil {
		t.Fatal(err)
	}
	if len(found.Status.Conditions) != 1 || found.Status.Conditions[0].Reason != reasonNoCapacity || found.Status.SizeGiB != 0 {
		t.Errorf("the status is %+v", found.Status)
	}
}
