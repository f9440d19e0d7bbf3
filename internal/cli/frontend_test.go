package cli

import (
	"bytes"
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	authorization "berth.dev/berth/api/authorization/v1alpha1"
	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	host "berth.dev/berth/api/host/v1alpha1"
	managedidentity "berth.dev/berth/api/managedidentity/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	network "berth.dev/berth/api/network/v1alpha1"
	resources "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/history"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/release"
	rp "berth.dev/berth/internal/rp/containerservice"
)

// realService is the real front end over a management API in memory. What the
// controllers would do, it does between two polls.
type realService struct {
	mu      sync.Mutex
	front   http.Handler
	client  client.Client
	history *history.Store
	polls   map[string]int
}

// newService is a double whose answers are those of the real front end.
func newService(t *testing.T) *double {
	s := &realService{polls: map[string]int{}}
	var err error
	if s.history, err = history.Open(filepath.Join(t.TempDir(), "history.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.history.Close() })
	s.client = newManagementAPI(t)
	d := &double{t: t, secret: secret, clock: impatient{}, management: s.client}
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	d.StartTLS()
	t.Cleanup(d.Close)
	d.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw})
	tokens, err := identity.NewService(t.Context(), identity.Options{Client: s.client, TenantID: tenant, PublicURL: d.URL})
	if err != nil {
		t.Fatal(err)
	}
	s.front, err = frontend.New(frontend.Config{Client: s.client, History: s.history, Tokens: tokens, TenantID: tenant,
		Location: "local", DNSZone: "berth.internal", PublicURL: d.URL})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// newManagementAPI has what a first start leaves: subscription, owner, host.
func newManagementAPI(t *testing.T) client.Client {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, authorization.AddToScheme, containerservice.AddToScheme, host.AddToScheme, network.AddToScheme, resources.AddToScheme, managedidentity.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	key := bytes.Repeat([]byte("k"), 32)
	const owner = "55555555-5555-5555-5555-555555555555"
	return fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&containerservice.ManagedCluster{}).WithObjects(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "berth-system", Name: "client-secret-key"}, Data: map[string][]byte{"key": key}},
		&authorization.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: "administrator"},
			Spec: authorization.RoleAssignmentSpec{PrincipalID: owner, RoleDefinitionID: identity.RoleTenantAdministrator, Scope: "/"}},
		&resources.Subscription{ObjectMeta: metav1.ObjectMeta{Name: subscription},
			Spec: resources.SubscriptionSpec{TenantID: tenant, DisplayName: "Berth", State: "Enabled"}},
		&authorization.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: "owner"},
			Spec: authorization.RoleAssignmentSpec{PrincipalID: owner, RoleDefinitionID: identity.RoleOwner, Scope: "/subscriptions/" + subscription}},
		&authorization.ServicePrincipal{ObjectMeta: metav1.ObjectMeta{Name: clientID},
			Spec: authorization.ServicePrincipalSpec{TenantID: tenant, ObjectID: owner, DisplayName: "owner",
				Passwords: []authorization.PasswordCredential{{KeyID: "66666666-6666-6666-6666-666666666666", Hash: identity.HashSecret(key, secret)}}}},
		&host.Host{ObjectMeta: metav1.ObjectMeta{Name: "local"},
			Spec:   host.HostSpec{CPUOvercommit: 8, MemoryOvercommit: 4, PublicRange: "198.18.0.0/20"},
			Status: host.HostStatus{CPUs: 4, MemoryMiB: 16 << 10}},
	).Build()
}

// serve answers with the front end; the second poll of an operation finds it ended.
func (s *realService) serve(w http.ResponseWriter, r *http.Request) {
	if path := strings.ToLower(r.URL.Path); strings.Contains(path, "/operations/") || strings.Contains(path, "/operationresults/") {
		s.mu.Lock()
		s.polls[path]++
		var err error
		if s.polls[path] > 1 {
			err = s.endOperations(r.Context())
		} else {
			err = s.explain(r.Context())
		}
		s.mu.Unlock()
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
	}
	s.front.ServeHTTP(w, r)
}

// explain says for every running operation why it waits.
func (s *realService) explain(ctx context.Context) error {
	var clusters containerservice.ManagedClusterList
	if err := s.client.List(ctx, &clusters); err != nil {
		return err
	}
	for i := range clusters.Items {
		cluster := &clusters.Items[i]
		for _, running := range cluster.Spec.Operations {
			cluster.Status.Progress = append(cluster.Status.Progress, meta.Progress{Scope: running.Scope, Phase: "ControlPlaneReady", Message: "etcd starts"})
		}
		if err := s.client.Status().Update(ctx, cluster); err != nil {
			return err
		}
	}
	return nil
}

// endOperations ends every operation with success.
func (s *realService) endOperations(ctx context.Context) error {
	var clusters containerservice.ManagedClusterList
	if err := s.client.List(ctx, &clusters); err != nil {
		return err
	}
	for i := range clusters.Items {
		cluster := &clusters.Items[i]
		for _, running := range cluster.Spec.Operations {
			record := history.Record{ID: running.ID, ResourceID: rp.IDOf(cluster, running.Scope), Verb: running.Verb,
				Status: meta.OperationSucceeded, StartTime: running.StartTime.Time, EndTime: time.Now(), Caller: running.Caller}
			if err := s.history.Put(record); err != nil {
				return err
			}
		}
		cluster.Spec.Operations = nil
		if cluster.DeletionTimestamp != nil {
			cluster.Finalizers = nil
		}
		if err := s.client.Update(ctx, cluster); err != nil {
			return err
		}
	}
	return s.endDeletions(ctx)
}

// endDeletions lets go of the groups that are being deleted, and ends what
// deletes them and the clusters.
func (s *realService) endDeletions(ctx context.Context) error {
	var groups resources.ResourceGroupList
	if err := s.client.List(ctx, &groups); err != nil {
		return err
	}
	for i := range groups.Items {
		if groups.Items[i].DeletionTimestamp == nil {
			continue
		}
		groups.Items[i].Finalizers = nil
		if err := s.client.Update(ctx, &groups.Items[i]); err != nil {
			return err
		}
	}
	var deletions resources.OperationList
	if err := s.client.List(ctx, &deletions); err != nil {
		return err
	}
	for i := range deletions.Items {
		deletions.Items[i].Status.Status = meta.OperationSucceeded
		if err := s.client.Update(ctx, &deletions.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

func TestTheCommandsDriveTheRealFrontEnd(t *testing.T) {
	d := newService(t)
	cluster := []string{"-g", "rg", "-n", "demo"}
	pool := []string{"-g", "rg", "--cluster-name", "demo", "-n", "extra"}
	if out, errs, code := d.run("aks", "create", "-g", "rg", "-n", "demo"); code != 3 || !strings.Contains(errs, "(ResourceGroupNotFound)") || !strings.Contains(errs, "berth group create") {
		t.Errorf("without a group: exit code %d: %s%s", code, out, errs)
	}
	d.must("group", "create", "-n", "rg", "--tags", "a=b")
	if got := d.must("group", "list", "--query", "[].{n: name, s: properties.provisioningState, t: tags.a}", "-o", "tsv"); got != "rg\tSucceeded\tb\n" {
		t.Errorf("group list printed %q", got)
	}
	out, errs, code := d.run(append([]string{"aks", "create", "-c", "1", "-s", "Standard_B2s", "--nodepool-labels", "tier=gold"}, cluster...)...)
	if code != 0 || !strings.Contains(errs, "ControlPlaneReady: etcd starts") || !strings.Contains(out, `"resourceGroup": "rg"`) {
		t.Fatalf("aks create: exit code %d: %s%s", code, out, errs)
	}
	if got := d.must(append([]string{"aks", "show", "--query", "[provisioningState, agentPoolProfiles[0].count, agentPoolProfiles[0].nodeLabels.tier, dnsPrefix]", "-o", "tsv"}, cluster...)...); got != "Succeeded\n1\ngold\ndemo-rg-222222\n" {
		t.Errorf("aks show printed %q", got)
	}
	d.must(append([]string{"aks", "scale", "-c", "2"}, cluster...)...)
	d.must(append([]string{"aks", "nodepool", "add", "-c", "1", "-s", "Standard_B2s"}, pool...)...)
	d.must(append([]string{"aks", "nodepool", "scale", "-c", "2"}, pool...)...)
	if got := d.must("aks", "nodepool", "list", "-g", "rg", "--cluster-name", "demo", "--query", "[].[name, mode, count]", "-o", "tsv"); got != "nodepool1\tSystem\t2\nextra\tUser\t2\n" && got != "extra\tUser\t2\nnodepool1\tSystem\t2\n" {
		t.Errorf("nodepool list printed %q", got)
	}
	d.must(append([]string{"aks", "nodepool", "delete"}, pool...)...)
	if got := d.must("aks", "list", "--query", "[].agentPoolProfiles[].name", "-o", "tsv"); got != "nodepool1\n" {
		t.Errorf("aks list printed %q", got)
	}
	if lines := strings.Split(d.must("aks", "get-versions", "-o", "table"), "\n"); !strings.HasPrefix(lines[len(lines)-2], release.Versions()[0].Version) {
		t.Errorf("get-versions printed\n%s", strings.Join(lines, "\n"))
	}
	_, errs, code = d.run("aks", "create", "-g", "rg", "-n", "bad", "-s", "Standard_None", "--pod-cidr", "10.1.2.3/16")
	if code != 1 || strings.Count(errs, "Target: ") < 2 {
		t.Errorf("two mistakes: exit code %d, want both told: %s", code, errs)
	}
	d.must(append([]string{"aks", "delete", "--yes"}, cluster...)...)
	if _, _, code := d.run(append([]string{"aks", "show"}, cluster...)...); code != 3 {
		t.Errorf("after the delete, aks show: exit code %d, want 3", code)
	}
	d.must("group", "delete", "-n", "rg", "--yes")
	if got := d.must("group", "exists", "-n", "rg"); got != "false\n" {
		t.Errorf("after the delete, group exists printed %q", got)
	}
}

// impatient is a clock whose timers run fifty times as fast: the service asks
// to wait a second between polls.
type impatient struct{ clock.RealClock }

// NewTimer makes a timer.
func (i impatient) NewTimer(d time.Duration) clock.Timer { return i.RealClock.NewTimer(d / 50) }
