package frontend_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	hostv1alpha1 "berth.dev/berth/api/host/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/history"
)

// aCluster takes two vCPUs.
const aCluster = `{"location":"local","identity":{"type":"SystemAssigned"},"properties":{"dnsPrefix":"d","agentPoolProfiles":[{"name":"pool","count":1,"vmSize":"Standard_B2s","mode":"System"}]}}`

// over is two front ends over one management API.
func over(t *testing.T, store client.WithWatch) (one, two *rig) {
	t.Helper()
	open := func() *rig {
		r := &rig{t: t, store: store, history: history.NewShared(store)}
		r.serve(frontend.Config{History: r.history, Shared: true})
		return r
	}
	return open(), open()
}

// newPair is over a management API of its own. Tokens are for the public URL that
// both have, as they are behind a load balancer.
func newPair(t *testing.T) (one, two *rig) {
	t.Helper()
	one, two = over(t, newStore(t, func(client.Object) {}))
	for _, r := range []*rig{one, two} {
		r.token = r.tokenFor(ownerID, "https://management.azure.com")
	}
	return one, two
}

func TestWhatIsWrittenThroughOneFrontEndIsReadAtOnceThroughTheOther(t *testing.T) {
	one, two := newPair(t)
	one.group()
	if a := two.call(http.MethodGet, groupPath, ""); a.status != http.StatusOK {
		t.Fatalf("a group: %d %s", a.status, a.raw)
	}
	created := one.call(http.MethodPut, clusterPath, aCluster)
	if created.status != http.StatusCreated {
		t.Fatalf("%d %s", created.status, created.raw)
	}
	if a := two.call(http.MethodGet, clusterPath, ""); a.status != http.StatusOK || a.body["eTag"] != created.body["eTag"] {
		t.Errorf("a cluster: %d %s", a.status, a.raw)
	}
	poll := strings.TrimPrefix(created.header.Get("Azure-AsyncOperation"), one.server.URL)
	if a := two.call(http.MethodGet, poll, ""); a.status != http.StatusOK || a.body["status"] != "InProgress" {
		t.Errorf("its operation: %d %s", a.status, a.raw)
	}
	// The token of the one is good at the other, and so is its signature.
	two.token, one.token = one.token, two.token
	one.finish()
	if a := two.call(http.MethodPatch, clusterPath, `{"tags":{"a":"b"}}`); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if a := one.call(http.MethodGet, clusterPath, ""); fmt.Sprint(a.body["tags"]) != "map[a:b]" {
		t.Errorf("tags: %s", a.raw)
	}
	stale := one.call(http.MethodPatch, clusterPath, `{"tags":{}}`, "If-Match", created.body["eTag"].(string))
	check(t, stale, want{412, "PreConditionFailed", "", "has changed"})
	role := "/providers/Microsoft.Authorization/roleAssignments/77777777-7777-4777-8777-777777777777?api-version=2022-04-01"
	body := fmt.Sprintf(`{"properties":{"principalId":%q,"roleDefinitionId":"/subscriptions/%s/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"}}`, readerObject, subscriptionID)
	if a := one.call(http.MethodPut, clusterPath+role, body); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if a := two.call(http.MethodGet, clusterPath+role, ""); a.status != http.StatusOK {
		t.Errorf("a role assignment: %d %s", a.status, a.raw)
	}
	if a := two.call(http.MethodDelete, clusterPath, ""); a.status != http.StatusAccepted {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if a := one.call(http.MethodGet, clusterPath, ""); a.status != http.StatusNotFound && fmt.Sprint(a.body["properties"].(map[string]any)["provisioningState"]) != "Deleting" {
		t.Errorf("what is being deleted: %d %s", a.status, a.raw)
	}
}

func TestAnEndedOperationIsReadOnEveryFrontEnd(t *testing.T) {
	one, two := newPair(t)
	const id = "88888888-8888-4888-8888-888888888888"
	records := history.NewShared(one.store)
	if err := records.Put(history.Record{ID: id, ResourceID: clusterPath, Verb: meta.VerbCreate, Status: meta.OperationSucceeded, EndTime: time.Now(), Caller: ownerObject}); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*rig{"one": one, "two": two} {
		a := r.call(http.MethodGet, "/subscriptions/"+subscriptionID+"/providers/Microsoft.ContainerService/locations/local/operations/"+id, "")
		if a.status != http.StatusOK || a.body["status"] != "Succeeded" {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
}

// room makes the host give out so many vCPUs, a cluster takes two.
func (r *rig) room(cpus int32) {
	r.t.Helper()
	var host hostv1alpha1.Host
	if err := r.store.Get(r.t.Context(), client.ObjectKey{Name: "local"}, &host); err != nil {
		r.t.Fatal(err)
	}
	host.Spec.CPUOvercommit = 1
	if err := r.store.Update(r.t.Context(), &host); err != nil {
		r.t.Fatal(err)
	}
	host.Status = hostv1alpha1.HostStatus{CPUs: cpus, MemoryMiB: 1 << 20}
	if err := r.store.Status().Update(r.t.Context(), &host); err != nil {
		r.t.Fatal(err)
	}
}

func TestTwoFrontEndsNeverGiveOutTheSameRoom(t *testing.T) {
	for _, c := range []struct {
		name string
		// at says before which write of the one front end the other comes in between.
		at       func(client.Object) bool
		one, two int
	}{
		{"the other comes before the reservation", func(o client.Object) bool { return o.GetName() == "capacity-reservations" }, http.StatusConflict, http.StatusCreated},
		{
			"the other comes between the reservation and the write",
			func(o client.Object) bool { _, ok := o.(*containerservicev1alpha1.ManagedCluster); return ok }, http.StatusCreated, http.StatusConflict,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before func(client.Object)
			store := newStore(t, func(o client.Object) {
				if before != nil {
					before(o)
				}
			})
			one, two := over(t, store)
			one.group()
			one.room(2) // for one of them
			var second answer
			before = func(o client.Object) {
				if c.at(o) {
					before = nil
					second = two.call(http.MethodPut, clusterPath+"-two", aCluster)
				}
			}
			first := one.call(http.MethodPut, clusterPath+"-one", aCluster)
			if first.status != c.one || second.status != c.two {
				t.Errorf("the one: %d %s\nthe other: %d %s", first.status, first.raw, second.status, second.raw)
			}
		})
	}
}

func TestAReservationOfAFrontEndThatDiedEndsByItsTime(t *testing.T) {
	store := newStore(t, func(client.Object) {})
	now := time.Now()
	one, two := &rig{t: t, store: store}, &rig{t: t, store: store}
	for _, r := range []*rig{one, two} {
		r.serve(frontend.Config{History: history.NewShared(store), Shared: true}, func(c *frontend.Config) { c.Now = func() time.Time { return now } })
	}
	one.group()
	one.room(8)
	// As a front end leaves it that is killed after its reservation.
	reserved := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "berth-system", Name: "capacity-reservations"}, Data: map[string]string{
		"died": fmt.Sprintf(`{"cpus":8,"memoryMiB":1,"until":%q}`, now.Add(time.Minute).Format(time.RFC3339)),
	}}
	if err := store.Create(t.Context(), reserved); err != nil {
		t.Fatal(err)
	}
	check(t, two.call(http.MethodPut, clusterPath, aCluster), want{409, "AllocationFailed", "", "capacity"})
	now = now.Add(2 * time.Minute)
	if a := two.call(http.MethodPut, clusterPath, aCluster); a.status != http.StatusCreated {
		t.Errorf("after the reservation's time: %d %s", a.status, a.raw)
	}
}
