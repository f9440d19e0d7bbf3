package collector

import (
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	fakeclient "sigs.k8s.io/controller-runtime/pkg/client/fake"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	hostapi "berth.dev/berth/api/host/v1alpha1"
	networkapi "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/backup/vault"
	"berth.dev/berth/internal/controlplane/controlplanetest"
	runtimefake "berth.dev/berth/internal/controlplane/fake"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/machine"
	machinefake "berth.dev/berth/internal/machine/fake"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
	networkfake "berth.dev/berth/internal/network/fake"
)

// The incarnations of a cluster and a machine.
const (
	clusterID   = "abcdefghij"
	machineID   = "klmnopqrst"
	machineName = "aks-nodepool1-00000000-vmss000000-" + machineID
)

// world is what a collector works on, all fake.
type world struct {
	client    client.Client
	clock     *testingclock.FakeClock
	collector *Collector
	runtime   *runtimefake.Runtime
	provider  machine.Provider
	fabric    *networkfake.Fabric
	backups   *vault.Vault
	disks     *machinefake.Disks
}

func newWorld(t *testing.T) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), containerservice.AddToScheme(scheme), networkapi.AddToScheme(scheme), hostapi.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	w := &world{
		client: fakeclient.NewClientBuilder().WithScheme(scheme).Build(), clock: testingclock.NewFakeClock(time.Unix(1_700_000_000, 0)),
		runtime: &runtimefake.Runtime{Steps: 2}, provider: machinefake.New(machinefake.NewState()), fabric: networkfake.New(),
	}
	w.disks = &machinefake.Disks{}
	w.backups = vault.New(vault.Options{Home: home.Home{Dir: t.TempDir(), Instance: "test"}})
	var err error
	w.collector, err = New(Config{
		Client: w.client, Reader: w.client, Runtime: w.runtime, Provider: w.provider, Fabric: w.fabric,
		Clock: w.clock, Registerer: prometheus.NewRegistry(), Backups: w.backups, Disks: w.disks,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// create creates objects.
func (w *world) create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := w.client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// claims are all that a cluster and a machine hold in the management API.
func claims() []client.Object {
	return []client.Object{
		&networkapi.PublicIPAddress{
			ObjectMeta: metav1.ObjectMeta{Name: "ip-198-18-0-16"},
			Spec:       networkapi.PublicIPAddressSpec{Address: "198.18.0.16", OwnerName: "demo", OwnerIncarnation: clusterID, Purpose: "apiserver"},
		},
		&hostapi.IDRange{ObjectMeta: metav1.ObjectMeta{Name: "idrange-0"}, Spec: hostapi.IDRangeSpec{Start: 65536, OwnerName: "demo", OwnerIncarnation: clusterID}},
		&hostapi.IDRange{ObjectMeta: metav1.ObjectMeta{Name: "idrange-1"}, Spec: hostapi.IDRangeSpec{Start: 131072, OwnerName: machineName, OwnerIncarnation: machineID}},
		secret(naming.Credentials(clusterID)),
		secret(machineName),
	}
}

func secret(name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: naming.SystemNamespace, Name: name}}
}

// onHost makes a control plane with its endpoint, a network and a machine.
func (w *world) onHost(t *testing.T) {
	t.Helper()
	public := netip.MustParseAddr("198.18.0.16")
	desired := controlplanetest.Desired(t, public)
	desired.ID = clusterID
	errEdge := w.fabric.EnsureEdge(t.Context(), network.Edge{
		PublicRange: netip.MustParsePrefix("198.18.0.0/20"), HostAddress: netip.MustParseAddr("198.18.0.1"),
	})
	_, errEndpoint := w.fabric.EnsureEndpoint(t.Context(), network.Endpoint{ID: clusterID, Address: public})
	_, errPlane := w.runtime.Ensure(t.Context(), desired)
	_, errMachine := w.provider.Ensure(t.Context(), machine.Desired{
		ID: machineID, NodeName: "node", Size: machine.Size{CPUs: 2, MemoryMiB: 4096}, DiskGiB: 10, Image: "/image", IDRangeStart: 131072,
	})
	errNetwork := w.fabric.EnsureNetwork(t.Context(), network.Network{
		ID: clusterID, AddressSpace: []netip.Prefix{netip.MustParsePrefix("10.224.0.0/16")},
		Outbounds: []network.Outbound{{ID: clusterID, Addresses: []netip.Addr{public.Next()}}},
	})
	if err := errors.Join(errEdge, errEndpoint, errPlane, errMachine, errNetwork); err != nil {
		t.Fatal(err)
	}
}

// count is how much is left, on the host and of claims.
func (w *world) count(t *testing.T) int {
	t.Helper()
	planes, errPlanes := w.runtime.List(t.Context())
	machines, errMachines := w.provider.List(t.Context())
	endpoints, networks, errNetworks := w.fabric.List(t.Context())
	if err := errors.Join(errPlanes, errMachines, errNetworks); err != nil {
		t.Fatal(err)
	}
	n := len(planes) + len(machines) + len(endpoints) + len(networks)
	var addresses networkapi.PublicIPAddressList
	var ranges hostapi.IDRangeList
	var secrets corev1.SecretList
	for _, list := range []client.ObjectList{&addresses, &ranges, &secrets} {
		if err := w.client.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	return n + len(addresses.Items) + len(ranges.Items) + len(secrets.Items)
}

func (w *world) look(t *testing.T) {
	t.Helper()
	if _, err := w.collector.look(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// all is what onHost and claims make.
const all = 4 + 5

func TestWhatNobodyOwnsIsRemovedAfterTheGracePeriodAndReported(t *testing.T) {
	w := newWorld(t)
	w.create(t, claims()...)
	w.onHost(t)
	w.look(t)
	w.clock.Step(Grace - time.Second)
	w.look(t)
	if got := w.count(t); got != all {
		t.Fatalf("%d of %d things are left before the grace period is over", got, all)
	}
	w.clock.Step(time.Second)
	for range 4 { // processes take some calls to end
		w.look(t)
	}
	if got := w.count(t); got != 0 {
		t.Errorf("%d things are left", got)
	}
	if got := testutil.ToFloat64(w.collector.removed.WithLabelValues(kindControlPlane)); got != 1 {
		t.Errorf("the metric counts %v control planes", got)
	}
	if got := testutil.ToFloat64(w.collector.removed.WithLabelValues(kindSecret)); got != 2 {
		t.Errorf("the metric counts %v secrets", got)
	}
}

func TestWhatHasAnOwnerStays(t *testing.T) {
	w := newWorld(t)
	w.create(t, claims()...)
	w.onHost(t)
	w.create(t,
		&containerservice.ManagedCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo"}, Spec: containerservice.ManagedClusterSpec{Incarnation: clusterID}},
		&containerservice.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: clusterID}, Spec: containerservice.ControlPlaneSpec{Incarnation: clusterID}},
		&containerservice.Machine{ObjectMeta: metav1.ObjectMeta{Name: machineName}, Spec: containerservice.MachineSpec{Incarnation: machineID}},
		&networkapi.VirtualNetwork{ObjectMeta: metav1.ObjectMeta{Name: clusterID}, Spec: networkapi.VirtualNetworkSpec{
			Incarnation: clusterID, Ports: []networkapi.Port{{MachineName: machineName, Incarnation: machineID}},
		}},
	)
	for range 3 {
		w.look(t)
		w.clock.Step(2 * Grace)
	}
	if got := w.count(t); got != all {
		t.Errorf("%d of %d things are left", got, all)
	}
}

func TestACreateInProgressIsNotCollected(t *testing.T) {
	w := newWorld(t)
	// A kill in the middle: the machine has its place, its range and its Secret; the Machine is not made.
	profile := containerservice.AgentPoolProfile{Name: "nodepool1", Incarnation: "uvwxyzabcd"}
	name := naming.NodeName(profile.Name, profile.Incarnation, 35) + "-" + machineID
	w.create(t,
		&containerservice.AgentPool{ObjectMeta: metav1.ObjectMeta{Name: "nodepool1-uvwxyzabcd"}, Spec: containerservice.AgentPoolSpec{Profile: profile}},
		&networkapi.VirtualNetwork{ObjectMeta: metav1.ObjectMeta{Name: clusterID}, Spec: networkapi.VirtualNetworkSpec{
			Incarnation: clusterID, Ports: []networkapi.Port{{MachineName: name, Incarnation: machineID}},
		}},
		&hostapi.IDRange{ObjectMeta: metav1.ObjectMeta{Name: "idrange-1"}, Spec: hostapi.IDRangeSpec{OwnerName: name, OwnerIncarnation: machineID}},
		secret(name),
	)
	for range 3 {
		w.look(t)
		w.clock.Step(2 * Grace)
	}
	if got := w.count(t); got != 2 {
		t.Errorf("%d of 2 claims are left", got)
	}
	// A claim is taken before the object that carries it on: what gets an owner within the grace period stays.
	w = newWorld(t)
	w.create(t, claims()...)
	w.look(t)
	w.clock.Step(Grace - time.Second)
	w.create(t,
		&containerservice.ManagedCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo"}, Spec: containerservice.ManagedClusterSpec{Incarnation: clusterID}},
		&containerservice.Machine{ObjectMeta: metav1.ObjectMeta{Name: machineName}, Spec: containerservice.MachineSpec{Incarnation: machineID}},
	)
	w.clock.Step(time.Minute)
	w.look(t)
	if got := w.count(t); got != len(claims()) {
		t.Errorf("%d of %d claims are left", got, len(claims()))
	}
}

func TestAnOwnerThatAppearsBetweenTheTwoLooksStartsTheGracePeriodAnew(t *testing.T) {
	w := newWorld(t)
	w.create(t, claims()[0])
	w.look(t)
	owner := &containerservice.ManagedCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo"}, Spec: containerservice.ManagedClusterSpec{Incarnation: clusterID}}
	w.create(t, owner)
	w.clock.Step(Grace)
	w.look(t)
	if err := w.client.Delete(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	w.clock.Step(Grace)
	w.look(t)
	if got := w.count(t); got != 1 {
		t.Error("it was removed at the first look after its owner went")
	}
	w.clock.Step(Grace)
	w.look(t)
	if got := w.count(t); got != 0 {
		t.Error("it was not removed in the end")
	}
}

func TestAPortWithoutMachineAndPoolIsTakenAway(t *testing.T) {
	w := newWorld(t)
	w.create(t, &networkapi.VirtualNetwork{ObjectMeta: metav1.ObjectMeta{Name: clusterID}, Spec: networkapi.VirtualNetworkSpec{
		Incarnation: clusterID, Ports: []networkapi.Port{{MachineName: machineName, Incarnation: machineID}},
	}})
	w.look(t)
	w.clock.Step(Grace)
	w.look(t)
	var left networkapi.VirtualNetwork
	if err := w.client.Get(t.Context(), client.ObjectKey{Name: clusterID}, &left); err != nil || len(left.Spec.Ports) != 0 {
		t.Errorf("ports = %+v, %v", left.Spec.Ports, err)
	}
}

func TestWhatIsNotMadeForAnObjectIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.create(t, secret("token-signing-key"), secret("aks-something-else"), &networkapi.PublicIPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: "ip-198-18-0-1"}, Spec: networkapi.PublicIPAddressSpec{Address: "198.18.0.1", OwnerName: edgeOwner, Purpose: "host"},
	})
	for range 3 {
		w.look(t)
		w.clock.Step(2 * Grace)
	}
	if got := w.count(t); got != 3 {
		t.Errorf("%d of 3 objects of the service's own are left", got)
	}
}

func TestNothingIsRemovedWhileTheOwnersCannotBeRead(t *testing.T) {
	w := newWorld(t)
	w.onHost(t)
	w.look(t)
	w.clock.Step(2 * Grace)
	w.collector.config.Reader = fakeclient.NewClientBuilder().Build() // knows none of the kinds
	if _, err := w.collector.look(t.Context()); err == nil {
		t.Error("a look without owners succeeded")
	}
	if got := w.count(t); got != 4 {
		t.Errorf("%d of 4 things are left", got)
	}
}

func TestTheFileOfABackupGoesOnlyOnceItsObjectIsGone(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{clusterID, machineID} {
		if err := w.backups.Receive(id, strings.NewReader("file"), func(io.Reader) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	w.create(t, &containerservice.Backup{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: containerservice.BackupSpec{Incarnation: clusterID}})
	w.look(t)
	w.clock.Step(Grace)
	w.look(t)
	if left, err := w.backups.List(); err != nil || !slices.Equal(left, []string{clusterID}) {
		t.Errorf("left are the backups %v, %v", left, err)
	}
}

func TestADiskGoesOnlyOnceItsObjectIsGone(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{clusterID, machineID, "lost+found"} {
		if _, err := w.disks.EnsureDisk(t.Context(), machine.Disk{ID: id, SizeGiB: 1}); err != nil {
			t.Fatal(err)
		}
	}
	w.create(t, &containerservice.Disk{ObjectMeta: metav1.ObjectMeta{Name: "pvc"}, Spec: containerservice.DiskSpec{Incarnation: clusterID}})
	w.look(t)
	w.clock.Step(Grace)
	w.look(t)
	if left, err := w.disks.ListDisks(t.Context()); err != nil || !slices.Equal(left, []string{clusterID, "lost+found"}) {
		t.Errorf("left are the disks %v, %v: want the one with an object, and what is no disk", left, err)
	}
}
