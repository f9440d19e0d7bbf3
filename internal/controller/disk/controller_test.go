package disk

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/tenant"
)

const (
	clusterID = "abcdefghij"
	machineA  = "klmnopqrst"
	machineB  = "uvwxyzabcd"
	uid       = "0f0f"
)

// world is a management API and a tenant's, and a host that does what it is told.
type world struct {
	t           *testing.T
	api, tenant client.Client
	controller  *Controller
}

type tenants struct{ tenant *tenant.Tenant }

func (t tenants) Get(string) (*tenant.Tenant, bool) { return t.tenant, true }

func newWorld(t *testing.T, inTenant ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := containerservicev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	tenantScheme, err := tenant.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	w.api = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&containerservicev1.Disk{}).WithObjects(
		&containerservicev1.ManagedCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo"}, Spec: containerservicev1.ManagedClusterSpec{Incarnation: clusterID}},
		node("a", machineA), node("b", machineB),
	).Build()
	w.tenant = fake.NewClientBuilder().WithScheme(tenantScheme).WithStatusSubresource(
		&corev1.PersistentVolumeClaim{}, &corev1.PersistentVolume{}, &storagev1.VolumeAttachment{},
	).WithObjects(append(inTenant, class())...).Build()
	w.controller = NewController(Config{
		Client: w.api, Reader: w.api, Clock: testingclock.NewFakePassiveClock(time.Unix(1_700_000_000, 0)),
		Tenants: tenants{&tenant.Tenant{Cluster: "demo", Incarnation: clusterID, Client: w.tenant, Reader: w.tenant}},
	})
	return w
}

func node(name, incarnation string) client.Object {
	return &containerservicev1.Machine{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + incarnation},
		Spec:       containerservicev1.MachineSpec{ClusterName: "demo", NodeName: name, Incarnation: incarnation},
	}
}

func class() *storagev1.StorageClass {
	waits := storagev1.VolumeBindingWaitForFirstConsumer
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Provisioner: Driver, VolumeBindingMode: &waits}
}

func claim(size string) *corev1.PersistentVolumeClaim {
	name := "default"
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "data", UID: uid, Annotations: map[string]string{
			provisionerAnnotation: Driver, selectedNodeAnnotation: "a",
		}},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &name, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
		},
	}
}

func attachment(name, node string) *storagev1.VolumeAttachment {
	volume := "pvc-" + uid
	return &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       storagev1.VolumeAttachmentSpec{Attacher: Driver, NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume}},
	}
}

// settle lets the controller and the host take turns.
func (w *world) settle() {
	w.t.Helper()
	for range 8 {
		if _, err := w.controller.Reconcile(context.Background(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "demo"}}); err != nil {
			w.t.Fatal(err)
		}
		for _, disk := range w.disks() {
			disk.Status = containerservicev1.DiskStatus{
				SizeGiB: disk.Spec.SizeGiB, MachineIncarnation: disk.Spec.MachineIncarnation, Mounted: disk.Spec.MachineIncarnation != "",
				ObservedGeneration: disk.Generation, Conditions: []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue}},
			}
			w.must(w.api.Status().Update(context.Background(), &disk))
		}
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) disks() []containerservicev1.Disk {
	w.t.Helper()
	var list containerservicev1.DiskList
	w.must(w.api.List(context.Background(), &list))
	return list.Items
}

// bind does what the cluster's own controllers do with a claim and its volume.
func (w *world) bind() (*corev1.PersistentVolumeClaim, *corev1.PersistentVolume) {
	w.t.Helper()
	ctx, found, volume := context.Background(), &corev1.PersistentVolumeClaim{}, &corev1.PersistentVolume{}
	w.must(w.tenant.Get(ctx, client.ObjectKey{Namespace: "ns", Name: "data"}, found))
	w.must(w.tenant.Get(ctx, client.ObjectKey{Name: "pvc-" + uid}, volume))
	found.Spec.VolumeName = volume.Name
	w.must(w.tenant.Update(ctx, found))
	found.Status.Phase, found.Status.Capacity = corev1.ClaimBound, volume.Spec.Capacity
	w.must(w.tenant.Status().Update(ctx, found))
	volume.Status.Phase = corev1.VolumeBound
	w.must(w.tenant.Status().Update(ctx, volume))
	return found, volume
}

func TestAClaimGetsADiskOfItsSizeAndTheDiskGrowsWithIt(t *testing.T) {
	w := newWorld(t, claim("1500Mi"))
	w.settle()
	if disks := w.disks(); len(disks) != 1 || disks[0].Spec.SizeGiB != 2 || disks[0].Spec.Claim != "ns/data" {
		t.Fatalf("the disks are %+v", disks)
	}
	found, volume := w.bind()
	if got := volume.Spec.Capacity.Storage().String(); got != "2Gi" || volume.Spec.CSI.VolumeHandle != w.disks()[0].Spec.Incarnation || len(volume.Finalizers) != 1 {
		t.Errorf("the volume has %s: %+v", got, volume.Spec)
	}
	found.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("5Gi")
	w.must(w.tenant.Update(t.Context(), found))
	w.settle()
	w.must(w.tenant.Get(t.Context(), client.ObjectKeyFromObject(volume), volume))
	w.must(w.tenant.Get(t.Context(), client.ObjectKeyFromObject(found), found))
	if got := volume.Spec.Capacity.Storage().String(); got != "5Gi" || w.disks()[0].Spec.SizeGiB != 5 {
		t.Errorf("the volume has %s", got)
	}
	if got := found.Status.AllocatedResourceStatuses[corev1.ResourceStorage]; got != corev1.PersistentVolumeClaimNodeResizePending || len(found.Status.Conditions) != 1 {
		t.Errorf("the claim's growth is %q, %+v", got, found.Status.Conditions)
	}
}

func TestADiskIsInOneMachineAtATime(t *testing.T) {
	w := newWorld(t, claim("1Gi"))
	w.settle()
	w.bind()
	first, second := attachment("first", "a"), attachment("second", "b")
	w.must(w.tenant.Create(t.Context(), first))
	w.settle()
	w.must(w.tenant.Create(t.Context(), second))
	w.settle()
	w.must(w.tenant.Get(t.Context(), client.ObjectKeyFromObject(first), first))
	w.must(w.tenant.Get(t.Context(), client.ObjectKeyFromObject(second), second))
	if !first.Status.Attached || second.Status.Attached || second.Status.AttachError == nil || w.disks()[0].Spec.MachineIncarnation != machineA {
		t.Fatalf("attached: %+v and %+v", first.Status, second.Status)
	}
	w.must(w.tenant.Delete(t.Context(), first))
	w.settle()
	w.must(w.tenant.Get(t.Context(), client.ObjectKeyFromObject(second), second))
	if err := w.tenant.Get(t.Context(), client.ObjectKeyFromObject(first), first); !apierrors.IsNotFound(err) {
		t.Errorf("the first attachment is still there: %v", err)
	}
	if !second.Status.Attached || second.Status.AttachError != nil || w.disks()[0].Spec.MachineIncarnation != machineB {
		t.Errorf("attached: %+v", second.Status)
	}
}

func TestADiskGoesWithItsVolumeAndStaysWhereItIsRetained(t *testing.T) {
	for policy, left := range map[corev1.PersistentVolumeReclaimPolicy]int{corev1.PersistentVolumeReclaimDelete: 0, corev1.PersistentVolumeReclaimRetain: 1} {
		w := newWorld(t, claim("1Gi"))
		w.settle()
		found, volume := w.bind()
		volume.Spec.PersistentVolumeReclaimPolicy = policy
		w.must(w.tenant.Update(t.Context(), volume))
		w.must(w.tenant.Delete(t.Context(), found))
		volume.Status.Phase = corev1.VolumeReleased
		w.must(w.tenant.Status().Update(t.Context(), volume))
		w.settle()
		if policy == corev1.PersistentVolumeReclaimRetain {
			w.must(w.tenant.Get(t.Context(), client.ObjectKeyFromObject(volume), volume))
			w.must(w.tenant.Delete(t.Context(), volume))
			w.settle()
		}
		if err := w.tenant.Get(t.Context(), client.ObjectKeyFromObject(volume), volume); !apierrors.IsNotFound(err) {
			t.Errorf("%s: the volume is still there: %v", policy, err)
		}
		if got := len(w.disks()); got != left {
			t.Errorf("%s: %d disks are left, want %d", policy, got, left)
		}
	}
}

func TestADiskWhoseClaimWentBeforeItHadAVolumeIsDeleted(t *testing.T) {
	w := newWorld(t)
	w.must(w.api.Create(t.Context(), &containerservicev1.Disk{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-" + uid + "-" + clusterID},
		Spec:       containerservicev1.DiskSpec{ClusterName: "demo", ClusterIncarnation: clusterID, Incarnation: "aaaaaaaaaa", Claim: "ns/data", SizeGiB: 1},
	}))
	w.settle()
	if got := w.disks(); len(got) != 0 {
		t.Errorf("left: %+v", got)
	}
}

func TestAVolumeThatNamesAnotherClustersDiskDoesNotGetIt(t *testing.T) {
	w := newWorld(t, claim("1Gi"))
	w.settle()
	_, volume := w.bind()
	w.must(w.api.Create(t.Context(), &containerservicev1.Disk{
		ObjectMeta: metav1.ObjectMeta{Name: "other"},
		Spec:       containerservicev1.DiskSpec{ClusterName: "other", ClusterIncarnation: "zzzzzzzzzz", Incarnation: "bbbbbbbbbb", SizeGiB: 1},
	}))
	volume.Spec.CSI.VolumeHandle = "bbbbbbbbbb"
	w.must(w.tenant.Update(t.Context(), volume))
	wanted := attachment("thief", "a")
	w.must(w.tenant.Create(t.Context(), wanted))
	w.settle()
	w.must(w.tenant.Get(t.Context(), client.ObjectKeyFromObject(wanted), wanted))
	if wanted.Status.Attached || wanted.Status.AttachError == nil {
		t.Errorf("attached: %+v", wanted.Status)
	}
}

func TestWhatIsNotBuiltIsRefusedWithAnEvent(t *testing.T) {
	block := corev1.PersistentVolumeBlock
	for want, change := range map[string]func(*corev1.PersistentVolumeClaim){
		"ReadWriteMany": func(c *corev1.PersistentVolumeClaim) {
			c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
		},
		"block devices": func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeMode = &block },
		"snapshots": func(c *corev1.PersistentVolumeClaim) {
			c.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "VolumeSnapshot", Name: "s"}
		},
		"at most 32767 GiB": func(c *corev1.PersistentVolumeClaim) {
			c.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("40Ti")
		},
	} {
		wanted := claim("1Gi")
		change(wanted)
		w := newWorld(t, wanted)
		w.settle()
		var events corev1.EventList
		w.must(w.tenant.List(t.Context(), &events))
		if len(events.Items) != 1 || !strings.Contains(events.Items[0].Message, want) || len(w.disks()) != 0 {
			t.Errorf("%s: events %+v, %d disks", want, events.Items, len(w.disks()))
		}
	}
}
