package frontend_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

const queueHeader = "Berth-Queue"

// scaling is a cluster whose pool is being scaled, with the id of that operation.
func scaling(t *testing.T) (*rig, string) {
	t.Helper()
	r := made(t)
	if a := r.call(http.MethodPut, poolCall(""), poolOf(`"count":2`)); a.status != http.StatusOK {
		t.Fatalf("scaling: %d %s", a.status, a.raw)
	}
	r.writes = 0
	return r, r.cluster().Operation("nodepool1").ID
}

// poll is the status of an operation that an answer names.
func (r *rig) poll(a answer) answer {
	r.t.Helper()
	return r.call(http.MethodGet, strings.TrimPrefix(a.header.Get("Azure-AsyncOperation"), r.server.URL), "")
}

func TestAConflictingOperationIsQueuedIfItsCallerAsks(t *testing.T) {
	r, first := scaling(t)
	check(t, r.call(http.MethodPut, poolCall(""), poolOf(`"count":3`)), want{409, "OperationNotAllowed", "", first})
	scale := r.call(http.MethodPut, poolCall(""), poolOf(`"count":3`), queueHeader, "true")
	if scale.status != http.StatusOK || r.cluster().AgentPool("nodepool1").Count != 2 {
		t.Fatalf("%d %s, the count is %d", scale.status, scale.raw, r.cluster().AgentPool("nodepool1").Count)
	}
	status := r.poll(scale)
	properties, _ := status.body["properties"].(map[string]any)
	if status.body["status"] != "InProgress" || properties["phase"] != "Queued" || !strings.Contains(fmt.Sprint(properties["message"]), "Scale on the agent pool 'nodepool1' (id "+first+")") {
		t.Errorf("the queued operation says %s", status.raw)
	}
	queued := r.cluster().Spec.Queue
	if len(queued) != 1 || queued[0].Verb != meta.VerbScale || queued[0].Caller == "" || queued[0].CorrelationID == "" {
		t.Errorf("queued is %+v", queued)
	}
	for name, a := range map[string]answer{
		"an image upgrade": r.call(http.MethodPost, poolCall("/deleteMachines"), `{"machineNames":["x"]}`, queueHeader, "true"),
		"bad input":        r.call(http.MethodPut, poolCall(""), poolOf(`"count":"x"`), queueHeader, "true"),
		"a word":           r.call(http.MethodPut, poolCall(""), poolOf(`"count":3`), queueHeader, "maybe"),
		"an entity tag":    r.call(http.MethodPut, poolCall(""), poolOf(`"count":3`), queueHeader, "true", "If-Match", "x"),
	} {
		if a.status != http.StatusBadRequest {
			t.Errorf("%s is answered %d %s", name, a.status, a.raw)
		}
	}
	// Who does not ask to wait is told of the one that waits, too.
	r.finish()
	check(t, r.call(http.MethodPut, poolCall(""), poolOf(`"count":4`)), want{409, "OperationNotAllowed", "", "has been queued since"})
}

func TestAPoolThatIsNotThereAndADeletionAreQueuedBehindTheWholeCluster(t *testing.T) {
	r := made(t)
	r.call(http.MethodPut, clusterPath+"/agentPools/old", `{"properties":{"mode":"User"}}`)
	r.finish()
	if a := r.call(http.MethodPost, clusterPath+"/rotateClusterCertificates", ""); a.status != http.StatusAccepted {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	for name, a := range map[string]answer{
		"a new pool": r.call(http.MethodPut, clusterPath+"/agentPools/extra", `{"properties":{"mode":"User"}}`, queueHeader, "true"),
		"a deletion": r.call(http.MethodDelete, clusterPath+"/agentPools/old?ignore-pod-disruption-budget=true", "", queueHeader, "true"),
	} {
		if a.status != http.StatusAccepted || a.header.Get("Azure-AsyncOperation") == "" {
			t.Errorf("%s is answered %d %s", name, a.status, a.raw)
		}
	}
	for _, queued := range r.cluster().Spec.Queue {
		if queued.Method == http.MethodDelete && (!queued.IgnoreDisruptionBudgets || queued.Verb != meta.VerbDelete) ||
			queued.Method == http.MethodPut && (queued.Scope != "extra" || queued.Verb != meta.VerbCreate) {
			t.Errorf("queued is %+v", queued)
		}
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	r, _ := scaling(t)
	for range containerservicev1alpha1.MaxQueue {
		if a := r.call(http.MethodPut, poolCall(""), poolOf(`"count":3`), queueHeader, "true"); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.raw)
		}
	}
	check(t, r.call(http.MethodPut, poolCall(""), poolOf(`"count":3`), queueHeader, "true"), want{409, "OperationNotAllowed", "", "queued already, which is the most"})
	long := poolOf(`"tags":{"a":"` + strings.Repeat("x", 250) + `"}` + strings.Repeat(" ", 40<<10))
	check(t, r.call(http.MethodPut, poolCall(""), long, queueHeader, "true"), want{413, "", "", "at most"})
}

func TestAnAbortTakesTheLastOperationThatWasAskedFor(t *testing.T) {
	r, first := scaling(t)
	r.call(http.MethodPut, poolCall(""), poolOf(`"count":3`), queueHeader, "true")
	abort := r.call(http.MethodPost, poolCall("/abort"), "")
	c := r.cluster()
	if abort.status != http.StatusAccepted || c.Spec.Queue[0].Abort == nil || c.Operation("nodepool1").Abort != nil {
		t.Fatalf("%d: queued %+v, running %+v", abort.status, c.Spec.Queue, c.Operation("nodepool1"))
	}
	if status := r.poll(abort); status.body["status"] != "InProgress" || !strings.Contains(status.raw, "out of the queue") {
		t.Errorf("the abort says %s", status.raw)
	}
	c.Spec.Queue = nil // as the controller of the queue does
	if err := r.store.Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	r.call(http.MethodPost, poolCall("/abort"), "")
	if running := r.cluster().Operation("nodepool1"); running.ID != first || running.Abort == nil {
		t.Errorf("the running operation is not aborted: %+v", running)
	}
}
