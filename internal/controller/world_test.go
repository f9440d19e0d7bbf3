package controller_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	authorizationv1 "berth.dev/berth/api/authorization/v1alpha1"
	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	hostv1 "berth.dev/berth/api/host/v1alpha1"
	managedidentityv1 "berth.dev/berth/api/managedidentity/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	resourcesv1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/controller/agentpool"
	"berth.dev/berth/internal/controller/autoupgrade"
	"berth.dev/berth/internal/controller/backupschedule"
	"berth.dev/berth/internal/controller/certificate"
	"berth.dev/berth/internal/controller/cloudnode"
	"berth.dev/berth/internal/controller/fleet"
	"berth.dev/berth/internal/controller/machine"
	"berth.dev/berth/internal/controller/managedcluster"
	"berth.dev/berth/internal/controller/managedidentity"
	"berth.dev/berth/internal/controller/nodeimage"
	"berth.dev/berth/internal/controller/operation"
	"berth.dev/berth/internal/controller/powerschedule"
	"berth.dev/berth/internal/controller/queue"
	"berth.dev/berth/internal/controller/resourcegroup"
	"berth.dev/berth/internal/controller/service"
	"berth.dev/berth/internal/history"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/rp/containerservice"
	"berth.dev/berth/internal/tenant"
)

// errKilled is what every write answers after the service was "killed".
var errKilled = errors.New("killed")

// world is a whole service without kernel work: the management API, a host
// agent that does at once what it is told, and tenants with kubelets that join
// as real ones do. What the controllers write is counted, and can be made to
// fail from some write on, as if the process had died there.
type world struct {
	t       *testing.T
	clock   *testingclock.FakePassiveClock
	api     client.WithWatch
	tenants map[string]client.WithWatch // by API server address
	history *memory
	// fullDisk makes backups fail; swapped is what ran when one was taken or restored.
	fullDisk bool
	swapped  []string
	// sick is the version whose API server does not come up.
	sick string
	// protected are the pods that cannot be evicted, with what the API server says.
	protected map[string]string
	// nodeImage is what new nodes have.
	nodeImage string
	// sickNodes are the versions whose nodes do not come up.
	sickNodes map[string]bool
	// servingUnsigned is true while no kubelet gets a serving certificate.
	servingUnsigned bool
	// hostDown stops the host agent, kubeletsDown the kubelets.
	hostDown, kubeletsDown bool
	// unfollowed stops the tenants' controllers of endpoints.
	unfollowed bool
	// prestarted is how many control planes are to wait for a cluster.
	prestarted int
	// rewritesNothing lets the host agent encrypt nothing anew.
	rewritesNothing bool
	// behind are the volumes that the host agent sees without a new authority.
	behind []containerservicev1.BundleBehind

	// paying is held for each write: a controller may do several at a time.
	paying sync.Mutex
	// writes counts what the controllers wrote; budget is what they may still
	// write before they are killed, negative for ever.
	writes, budget int

	registry *tenant.Registry
	// dialed are the servers that the registry connected to; dialing, if set, is called before.
	dialed  []string
	dialing func()
	loops   []loop
}

// loop is one controller with the kind that it is called for.
type loop struct {
	name      string
	kind      client.ObjectList
	reconcile func(context.Context, reconcile.Request) (reconcile.Result, error)
}

// memory is a history that outlives a kill.
type memory struct {
	mu      sync.Mutex
	records map[string]history.Record
}

func (m *memory) Get(id string) (history.Record, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	record, ok := m.records[id]
	return record, ok, nil
}

func (m *memory) Put(record history.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.records[record.ID]; !ok {
		m.records[record.ID] = record
	}
	return nil
}

// releases has every version.
type releases struct{}

func (releases) Lookup(version string) (release.Artifacts, bool) {
	return release.Artifacts{Version: version, Images: map[string]string{"coredns": "registry.k8s.io/coredns/coredns:v1.15.0"}}, true
}

// credentials are made once: what is in them does not matter to these tests,
// but real keys are slow to make.
var credentials = sync.OnceValues(func() (map[string][]byte, error) { //nolint:gochecknoglobals // made once for all tests
	names := pki.ClusterNames{FQDN: "test", Address: netip.MustParseAddr("198.18.0.16"), ServiceAddress: netip.MustParseAddr("10.0.0.1")}
	return pki.NewCluster(names, epoch())
})

func epoch() time.Time { return time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC) }

func newWorld(t *testing.T) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, containerservicev1.AddToScheme, hostv1.AddToScheme,
		networkv1.AddToScheme, resourcesv1.AddToScheme, authorizationv1.AddToScheme, managedidentityv1.AddToScheme,
	} {
		must(t, add(scheme))
	}
	w := &world{
		nodeImage: "BerthDebian-12",
		t:         t, clock: testingclock.NewFakePassiveClock(epoch()), budget: -1,
		tenants: map[string]client.WithWatch{}, protected: map[string]string{}, sickNodes: map[string]bool{}, history: &memory{records: map[string]history.Record{}},
	}
	// the fakes need not track who owns which field, which is slow: package addon tests that
	objects := newStore(scheme)
	w.api = w.dated(generations(objects.read(fake.NewClientBuilder().WithScheme(scheme).WithObjectTracker(objects).WithIndex(&containerservicev1.Machine{}, fleet.ClusterField, fleet.ClusterOf).WithStatusSubresource(
		&containerservicev1.ManagedCluster{}, &containerservicev1.AgentPool{}, &containerservicev1.Machine{},
		&containerservicev1.ControlPlane{}, &containerservicev1.Backup{}, &containerservicev1.BackupSchedule{}, &networkv1.VirtualNetwork{}, &networkv1.LoadBalancer{},
		&resourcesv1.ResourceGroup{}, &resourcesv1.Operation{},
	).Build())))
	w.create(&hostv1.Host{
		ObjectMeta: metav1.ObjectMeta{Name: "local"},
		Spec:       hostv1.HostSpec{CPUOvercommit: 8, MemoryOvercommit: 2, PublicRange: "198.18.0.0/20"},
	})
	w.start()
	return w
}

// start makes fresh controllers, as a process that starts does.
func (w *world) start() {
	w.t.Helper()
	w.budget = -1
	if w.registry != nil {
		w.registry.Close()
	}
	w.registry = tenant.NewRegistry(func(e tenant.Endpoint) (tenant.Connection, error) {
		w.dialed = append(w.dialed, e.Server)
		if w.dialing != nil {
			w.dialing()
		}
		return tenant.Connection{Client: w.counted(w.tenantAPI(e.Address))}, nil
	})
	w.t.Cleanup(w.registry.Close)
	c := w.counted(w.api)
	clusters := managedcluster.NewController(managedcluster.Config{
		Client: c, Reader: c, Clock: w.clock, Tenants: w.registry, History: w.history, Releases: releases{},
		Zone: "berth.internal", TenantID: "11111111-1111-1111-1111-111111111111",
		NewCredentials: func(pki.ClusterNames, time.Time) (map[string][]byte, error) { return credentials() },
	})
	w.loops = []loop{
		{"managedcluster", &containerservicev1.ManagedClusterList{}, clusters.Reconcile},
		{"agentpool", &containerservicev1.AgentPoolList{}, agentpool.NewController(c, c, w.clock).Reconcile},
		{"machine", &containerservicev1.MachineList{}, machine.NewController(machine.Config{Client: c, Reader: c, Clock: w.clock, Tenants: w.registry}).Reconcile},
		{"certificate", &containerservicev1.ManagedClusterList{}, certificate.NewController(c, w.clock, w.registry).Reconcile},
		{"service", &containerservicev1.ManagedClusterList{}, service.NewController(service.Config{Client: c, Reader: c, Clock: w.clock, Tenants: w.registry, Permissions: identity.Permissions{Reader: c}}).Reconcile},
		{"cloudnode", &containerservicev1.ManagedClusterList{}, cloudnode.NewController(c, c, w.registry).Reconcile},
		{"managedidentity", &managedidentityv1.UserAssignedIdentityList{}, managedidentity.NewController(c, c).Reconcile},
		{"autoupgrade", &containerservicev1.ManagedClusterList{}, autoupgrade.NewController(autoupgrade.Config{Client: c, Reader: c, Clock: w.clock, Runner: w.upgrades(c)}).Reconcile},
		{"resourcegroup", &resourcesv1.ResourceGroupList{}, resourcegroup.NewController(c, c, w.clock).Reconcile},
		{"operation", &resourcesv1.OperationList{}, operation.NewController(c, c, w.clock, w.history).Reconcile},
		{"queue", &containerservicev1.ManagedClusterList{}, queue.NewController(queue.Config{
			Client: c, Clock: w.clock, History: w.history, Runner: w.queued(c), ResourceID: containerservice.IDOf,
		}).Reconcile},
		{"nodeimage", &containerservicev1.ManagedClusterList{}, nodeimage.NewController(nodeimage.Config{
			Client: c, Clock: w.clock, Runner: w.images(c), Image: func() string { return w.nodeImage },
		}).Reconcile},
		{"powerschedule", &containerservicev1.ManagedClusterList{}, powerschedule.NewController(c, w.clock, w.runner(c)).Reconcile},
		{"prestarted", &hostv1.HostList{}, w.pool(c).Reconcile},
		{"backupschedule", &containerservicev1.BackupScheduleList{}, backupschedule.NewController(c, w.clock, w.keeper(c)).Reconcile},
	}
}

// settle calls every controller for everything until nobody writes any more,
// and returns errKilled if the budget ran out.
func (w *world) settle() error {
	w.t.Helper()
	for range 60 {
		before := w.writes
		for _, l := range w.loops {
			if err := w.pass(l); err != nil {
				return err
			}
		}
		changed := w.agent()
		changed = w.kubelets() || changed
		changed = w.follow() || changed
		changed = w.backups() || changed
		if w.writes == before && !changed {
			return nil
		}
	}
	w.t.Fatal("the controllers never come to rest")
	return nil
}

// pass calls one controller for every object of its kind.
func (w *world) pass(l loop) error {
	w.t.Helper()
	for _, name := range w.names(l.kind) {
		_, err := l.reconcile(context.Background(), reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
		if errors.Is(err, errKilled) {
			return errKilled
		}
		if err != nil {
			w.t.Fatalf("%s %s: %v", l.name, name, err)
		}
		if w.budget == 0 {
			return errKilled
		}
	}
	return nil
}

// live settles without a kill.
func (w *world) live() {
	w.t.Helper()
	must(w.t, w.settle())
}

// tenantAPI is the API server at an address.
func (w *world) tenantAPI(address string) client.WithWatch {
	if w.tenants[address] == nil {
		scheme, err := tenant.Scheme()
		must(w.t, err)
		objects := newStore(scheme)
		w.tenants[address] = w.budgeted(applied(objects.read(fake.NewClientBuilder().WithScheme(scheme).
			WithObjectTracker(objects).WithRESTMapper(tenant.Mapper()).
			WithIndex(&corev1.Pod{}, "spec.nodeName", nodeOf).
			WithIndex(&corev1.ConfigMap{}, "metadata.name", func(o client.Object) []string { return []string{o.GetName()} }).
			WithStatusSubresource(&corev1.Node{}, &corev1.Service{}, &certificatesv1.CertificateSigningRequest{}).Build())))
	}
	return w.tenants[address]
}

// tenantOf is the API server of a cluster.
func (w *world) tenantOf(cluster string) client.WithWatch {
	w.t.Helper()
	return w.tenantAPI(w.cluster(cluster).Status.Address)
}
