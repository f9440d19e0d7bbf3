package frontend_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/history"
)

// halted plays the controllers: nothing of the cluster runs any more.
func (r *rig) halted() {
	r.t.Helper()
	r.finish()
	cluster := r.cluster()
	cluster.Status.Conditions = []metav1.Condition{{
		Type: containerservicev1alpha1.ConditionStopped, Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: metav1.Now(),
	}}
	if err := r.store.Status().Update(r.t.Context(), cluster); err != nil {
		r.t.Fatal(err)
	}
	r.writes = 0
}

// halt stops the cluster through the API.
func (r *rig) halt() {
	r.t.Helper()
	if a := r.call(http.MethodPost, clusterPath+"/stop", ""); a.status != http.StatusAccepted {
		r.t.Fatalf("stopping: %d %s", a.status, a.raw)
	}
	r.halted()
}

// gaveUp plays the cluster's controller: the running operation was aborted.
func (r *rig) gaveUp() {
	r.t.Helper()
	cluster := r.cluster()
	for _, op := range cluster.Spec.Operations {
		id := groupPath + "/providers/Microsoft.ContainerService/managedClusters/demo"
		for _, record := range []history.Record{
			{ID: op.ID, ResourceID: id, Verb: op.Verb, Status: meta.OperationCanceled, StartTime: op.StartTime.Time, EndTime: time.Now(), Caller: op.Caller},
			{ID: op.Abort.ID, ResourceID: id, Verb: meta.VerbAbort, Status: meta.OperationSucceeded, EndTime: time.Now(), Caller: op.Abort.Caller},
		} {
			if err := r.history.Put(record); err != nil {
				r.t.Fatal(err)
			}
		}
		cluster.Spec.Aborted = append(cluster.Spec.Aborted, meta.AbortedOperation{Scope: op.Scope, ID: op.ID, Verb: op.Verb})
	}
	cluster.Spec.Operations = nil
	if err := r.store.Update(r.t.Context(), cluster); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) clusters() *armcontainerservice.ManagedClustersClient {
	r.t.Helper()
	credential, err := r.credential(ownerID)
	if err != nil {
		r.t.Fatal(err)
	}
	clusters, err := armcontainerservice.NewManagedClustersClient(subscriptionID, credential, r.options())
	if err != nil {
		r.t.Fatal(err)
	}
	return clusters
}

func TestTheSDKStopsAndStartsACluster(t *testing.T) {
	t.Parallel() // it waits more than it works
	r := made(t)
	ctx, clusters := t.Context(), r.clusters()
	stopping, err := clusters.BeginStop(ctx, "rg", "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := clusters.Get(ctx, "rg", "demo", nil); err != nil || *got.Properties.ProvisioningState != "Stopping" || *got.Properties.PowerState.Code != "Running" {
		t.Errorf("while it stops it is %+v %v", got.Properties, err)
	}
	if _, err := polled(t, stopping, r.halted); err != nil {
		t.Fatal(err)
	}
	got, err := clusters.Get(ctx, "rg", "demo", nil)
	if err != nil || *got.Properties.ProvisioningState != "Succeeded" || *got.Properties.PowerState.Code != "Stopped" {
		t.Errorf("the stopped cluster is %+v %v", got.Properties, err)
	}
	starting, err := clusters.BeginStart(ctx, "rg", "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := clusters.Get(ctx, "rg", "demo", nil); err != nil || *got.Properties.ProvisioningState != "Starting" {
		t.Errorf("while it starts it is %+v %v", got.Properties, err)
	}
	if _, err := polled(t, starting, r.finish); err != nil {
		t.Fatal(err)
	}
}

func TestTheSDKAbortsAnOperation(t *testing.T) {
	t.Parallel() // it waits more than it works
	r := made(t)
	ctx, clusters := t.Context(), r.clusters()
	if a := r.call(http.MethodPost, clusterPath+"/stop", ""); a.status != http.StatusAccepted || a.header.Get("Location") == "" || a.header.Get("Azure-AsyncOperation") == "" {
		t.Fatalf("stopping: %d %v", a.status, a.header)
	}
	running := r.cluster().Operation(meta.ScopeCluster)
	aborting, err := clusters.BeginAbortLatestOperation(ctx, "rg", "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	abort := r.cluster().Operation(meta.ScopeCluster).Abort
	if a := r.call(http.MethodPost, clusterPath+"/abort", ""); a.status != http.StatusAccepted || !strings.Contains(a.header.Get("Location"), abort.ID) {
		t.Errorf("a second abort does not join the first: %d %v", a.status, a.header)
	}
	if got, err := clusters.Get(ctx, "rg", "demo", nil); err != nil || *got.Properties.ProvisioningState != "Canceling" {
		t.Errorf("while it gives up it is %+v %v", got.Properties, err)
	}
	if _, err := polled(t, aborting, r.gaveUp); err != nil {
		t.Fatal(err)
	}
	if got, err := clusters.Get(ctx, "rg", "demo", nil); err != nil || *got.Properties.ProvisioningState != "Canceled" {
		t.Errorf("it gave up and is %+v %v", got.Properties, err)
	}
	status := r.call(http.MethodGet, "/subscriptions/"+subscriptionID+"/providers/Microsoft.ContainerService/locations/local/operations/"+running.ID, "")
	if status.body["status"] != "Canceled" {
		t.Errorf("the aborted operation is %s", status.raw)
	}
	// What was aborted is gone on with by the next update, which brings the cluster up again.
	if a := r.call(http.MethodPut, clusterPath, body("", "")); a.status != http.StatusOK {
		t.Fatalf("updating: %d %s", a.status, a.raw)
	}
	if c := r.cluster(); c.Spec.PowerState != meta.PowerRunning || len(c.Spec.Aborted) != 0 {
		t.Errorf("after the update it is %s with %+v", c.Spec.PowerState, c.Spec.Aborted)
	}
}

// situations are what a cluster may be in the middle of.
func situations() map[string]func(r *rig) {
	post := func(action string) func(r *rig) {
		return func(r *rig) { r.call(http.MethodPost, clusterPath+"/"+action, "") }
	}
	return map[string]func(r *rig){
		"idle":     func(*rig) {},
		"updating": func(r *rig) { r.call(http.MethodPut, clusterPath, body("", "")) },
		"scaling": func(r *rig) {
			r.call(http.MethodPut, clusterPath+"/agentPools/nodepool1", `{"properties":{"count":2}}`)
		},
		"stopping": post("stop"),
		"stopped":  func(r *rig) { r.halt() },
		"starting": func(r *rig) { r.halt(); post("start")(r) },
		"deleting": func(r *rig) { r.call(http.MethodDelete, clusterPath, "") },
		"rotating": post("rotateClusterCertificates"),
		"restoring": func(r *rig) {
			c := r.cluster()
			c.Spec.Operations = append(c.Spec.Operations, meta.RunningOperation{ID: "restore", Verb: meta.VerbRestore, Scope: meta.ScopeCluster,
				StartTime: metav1.Now(), Deadline: metav1.NewTime(time.Now().Add(time.Hour))})
			if err := r.store.Update(r.t.Context(), c); err != nil {
				r.t.Fatal(err)
			}
		},
	}
}

func TestTheConflictTableAnswersEveryRequestInEverySituation(t *testing.T) {
	const busy, gone = "Another operation", "in deletion"
	requests := map[string]struct {
		method, path, body string
		// want are the statuses by situation, says what the refusals say.
		want map[string]int
		says map[string]string
	}{
		"stop": {"POST", clusterPath + "/stop", "",
			map[string]int{"idle": 202, "updating": 409, "scaling": 409, "stopping": 409, "stopped": 204, "starting": 409, "deleting": 202, "rotating": 409, "restoring": 409},
			map[string]string{"rotating": "(RotateCertificates on", "restoring": "(Restore on", "updating": "(Update on the managed cluster 'demo'", "scaling": "on the agent pool 'nodepool1'", "stopping": "(Stop on", "starting": "(Start on"}},
		"start": {"POST", clusterPath + "/start", "",
			map[string]int{"idle": 409, "updating": 409, "scaling": 409, "stopping": 409, "stopped": 202, "starting": 409, "deleting": 409, "rotating": 409, "restoring": 409},
			map[string]string{"rotating": busy, "restoring": busy, "idle": "is running", "updating": busy, "scaling": busy, "stopping": busy, "starting": busy, "deleting": gone}},
		"delete": {"DELETE", clusterPath, "",
			map[string]int{"idle": 202, "updating": 202, "scaling": 202, "stopping": 202, "stopped": 202, "starting": 202, "deleting": 202, "rotating": 202, "restoring": 202}, nil},
		"abort": {"POST", clusterPath + "/abort", "",
			map[string]int{"idle": 409, "updating": 202, "scaling": 409, "stopping": 202, "stopped": 409, "starting": 202, "deleting": 409, "rotating": 202, "restoring": 202},
			map[string]string{"idle": "ProvisioningState is Succeeded", "scaling": "ProvisioningState is Succeeded", "stopped": "ProvisioningState is Succeeded", "deleting": "ProvisioningState is Deleting"}},
		"abort of the pool": {"POST", clusterPath + "/agentPools/nodepool1/abort", "",
			map[string]int{"idle": 409, "updating": 409, "scaling": 202, "stopping": 409, "stopped": 409, "starting": 409, "deleting": 409},
			map[string]string{"idle": "ProvisioningState is Succeeded", "updating": "operation Update on its managed cluster", "stopping": "Abort that one"}},
		"update": {"PUT", clusterPath, body("", ""),
			map[string]int{"idle": 200, "updating": 409, "scaling": 409, "stopping": 409, "stopped": 409, "starting": 409, "deleting": 409, "rotating": 409, "restoring": 409},
			map[string]string{"stopped": "az aks start", "stopping": busy, "deleting": gone, "rotating": busy, "restoring": busy}},
		"rotation": {"POST", clusterPath + "/rotateClusterCertificates", "",
			map[string]int{"idle": 202, "updating": 409, "scaling": 409, "stopping": 409, "stopped": 409, "starting": 409, "deleting": 409, "rotating": 409, "restoring": 409},
			map[string]string{"updating": busy, "scaling": busy, "stopping": busy, "stopped": "az aks start", "starting": busy, "deleting": gone, "rotating": busy, "restoring": busy}},
		"new tags": {"PATCH", clusterPath, `{"tags":{"a":"b"}}`,
			map[string]int{"idle": 200, "stopped": 409, "stopping": 409}, map[string]string{"stopped": "is stopped"}},
		"another pool": {"PUT", clusterPath + "/agentPools/extra", `{"properties":{"count":1,"vmSize":"Standard_B2s"}}`,
			map[string]int{"idle": 201, "scaling": 201, "stopped": 409, "starting": 409}, map[string]string{"stopped": "is stopped", "starting": busy}},
		"the list": {"GET", clusterPath + "/agentPools", "", map[string]int{"stopped": 200, "deleting": 200}, nil},
	}
	for name, request := range requests {
		for situation, want := range request.want {
			t.Run(name+" while "+situation, func(t *testing.T) {
				r := made(t)
				situations()[situation](r)
				r.writes = 0
				a := r.call(request.method, request.path, request.body)
				code, _, message := a.errorOf()
				if a.status != want {
					t.Fatalf("answered %d %s, want %d", a.status, a.raw, want)
				}
				if want == http.StatusConflict && (code != "OperationNotAllowed" || !strings.Contains(message, request.says[situation])) {
					t.Errorf("refused with %s: %s", code, message)
				}
				if want == http.StatusConflict && r.writes != 0 {
					t.Errorf("a refused request made %d writes", r.writes)
				}
			})
		}
	}
}

func TestAStoppedClusterHoldsNoCapacityAndNeedsItToStart(t *testing.T) {
	r := made(t)
	r.halt()
	// The host gives out 16 vCPUs, all of which eight nodes take.
	other := strings.Replace(body("", `,"vmSize":"Standard_B2s"`), `"count":1`, `"count":8`, 1)
	path := groupPath + "/providers/Microsoft.ContainerService/managedClusters/other"
	if a := r.call(http.MethodPut, path, other); a.status != http.StatusCreated {
		t.Fatalf("a cluster in the room that the stopped one left: %d %s", a.status, a.raw)
	}
	a := r.call(http.MethodPost, clusterPath+"/start", "")
	if code, _, message := a.errorOf(); a.status != http.StatusConflict || code != "AllocationFailed" || !strings.Contains(message, "stop or delete") {
		t.Fatalf("starting without room: %d %s", a.status, a.raw)
	}
	var list containerservicev1alpha1.ManagedClusterList
	if err := r.store.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for _, cluster := range list.Items {
		if cluster.Spec.Name == "demo" && !cluster.Stopped() {
			t.Error("the refused start changed the cluster")
		}
	}
}

func TestAPoolOfAnAbortedClusterWaitsForTheCluster(t *testing.T) {
	r := made(t)
	r.call(http.MethodPut, clusterPath, body("", ""))
	r.call(http.MethodPost, clusterPath+"/abort", "")
	r.gaveUp()
	a := r.call(http.MethodPut, clusterPath+"/agentPools/nodepool1", `{"properties":{"count":2}}`)
	if _, _, message := a.errorOf(); a.status != http.StatusConflict || !strings.Contains(message, "was aborted") {
		t.Fatalf("scaling a pool of an aborted cluster: %d %s", a.status, a.raw)
	}
	if a := r.call(http.MethodPost, clusterPath+"/start", ""); a.status != http.StatusAccepted {
		t.Fatalf("starting an aborted cluster goes on with it: %d %s", a.status, a.raw)
	}
}

func TestWhatGETSaysOfAStoppedClusterSentBackIsToldToStartFirst(t *testing.T) {
	r := made(t)
	r.halt()
	for _, path := range []string{clusterPath, clusterPath + "/agentPools/nodepool1"} {
		got := r.call(http.MethodGet, path, "")
		if !strings.Contains(got.raw, `"powerState":{"code":"Stopped"}`) {
			t.Errorf("GET %s says %s", path, got.raw)
		}
		a := r.call(http.MethodPut, path, got.raw)
		if _, _, message := a.errorOf(); a.status != http.StatusConflict || !strings.Contains(message, "az aks start") {
			t.Errorf("PUT %s answered %d %s", path, a.status, a.raw)
		}
	}
}
