package frontend_test

import (
	"net/http"
	"testing"
)

// TestTheTableOfEntityTagsHolds is the table of the documentation: what each
// method answers to each condition, on a resource that is there and on one that is not.
func TestTheTableOfEntityTagsHolds(t *testing.T) {
	const right, quoted, wrong = "right", "quoted", "11111111-1111-4111-8111-111111111111"
	type condition struct{ name, value string }
	none, anyTag, its, quotedTag, other, fresh := condition{}, condition{"If-Match", "*"}, condition{"If-Match", right}, condition{"If-Match", quoted}, condition{"If-Match", wrong}, condition{"If-None-Match", "*"}
	cases := []struct {
		method         string
		condition      condition
		absent, exists int
	}{
		{http.MethodPut, none, 201, 200}, {http.MethodPut, anyTag, 412, 200}, {http.MethodPut, its, 412, 200}, {http.MethodPut, quotedTag, 412, 200}, {http.MethodPut, other, 412, 412}, {http.MethodPut, fresh, 201, 412},
		{http.MethodPatch, none, 404, 200}, {http.MethodPatch, anyTag, 404, 200}, {http.MethodPatch, its, 404, 200}, {http.MethodPatch, other, 404, 412},
		{http.MethodDelete, none, 204, 202}, {http.MethodDelete, anyTag, 204, 202}, {http.MethodDelete, its, 204, 202}, {http.MethodDelete, other, 204, 412},
	}
	const group, pools = groupPath + "/providers/Microsoft.ContainerService/managedClusters/", clusterPath + "/agentPools/"
	for _, kind := range []struct{ name, prefix, exists, absent, body string }{
		{"cluster", group, "demo", "absent", body("", "")}, {"pool", pools, "nodepool2", "absent", `{"properties":{"count":0,"mode":"User"}}`},
	} {
		for _, c := range cases {
			if kind.name == "pool" && c.method == http.MethodPatch {
				continue // the API has none
			}
			t.Run(kind.name+" "+c.method+" "+c.condition.name+" "+c.condition.value, func(t *testing.T) {
				r := made(t)
				if a := r.call(http.MethodPut, pools+"nodepool2", `{"properties":{"count":0,"mode":"User"}}`); a.status != http.StatusCreated {
					t.Fatal(a.raw)
				}
				r.finish()
				for name, status := range map[string]int{kind.absent: c.absent, kind.exists: c.exists} {
					r.writes = 0
					sent := kind.body
					if c.method == http.MethodPatch {
						sent = `{"tags":{"a":"b"}}`
					}
					a := r.call(c.method, kind.prefix+name, sent, headers(r, kind.prefix+kind.exists, c.condition.name, c.condition.value)...)
					if a.status != status {
						t.Errorf("%s: answered %d %s, want %d", name, a.status, a.raw, status)
					}
					if status == http.StatusPreconditionFailed {
						check(t, a, want{412, "PreConditionFailed", "", ""})
						if r.writes != 0 {
							t.Errorf("%s: %d objects were written", name, r.writes)
						}
					}
				}
			})
		}
	}
}

// headers are a condition with the tag that a resource has now.
func headers(r *rig, path, name, value string) []string {
	r.t.Helper()
	if name == "" {
		return nil
	}
	read := r.call(http.MethodGet, path, "")
	tag, _ := read.body["eTag"].(string)
	if properties, _ := read.body["properties"].(map[string]any); tag == "" {
		tag, _ = properties["eTag"].(string)
	}
	switch value {
	case "right":
		value = tag
	case "quoted":
		value = `"` + tag + `"`
	}
	return []string{name, value}
}

func TestAnOperationOnTheClusterRenewsAllTagsAndOneOnAPoolItsOwn(t *testing.T) {
	r := made(t)
	if a := r.call(http.MethodPut, clusterPath+"/agentPools/nodepool2", `{"properties":{"count":0,"mode":"User"}}`); a.status != http.StatusCreated {
		t.Fatal(a.raw)
	}
	r.finish()
	tags := func() [3]any {
		a := r.call(http.MethodGet, clusterPath, "")
		pools := a.body["properties"].(map[string]any)["agentPoolProfiles"].([]any)
		return [3]any{a.body["eTag"], pools[0].(map[string]any)["eTag"], pools[1].(map[string]any)["eTag"]}
	}
	before := tags()
	if again := tags(); again != before {
		t.Errorf("reading changes the tags: %v and %v", before, again)
	}
	r.call(http.MethodPut, clusterPath+"/agentPools/nodepool2", `{"properties":{"count":1}}`)
	r.finish()
	pool := tags()
	if pool[0] != before[0] || pool[1] != before[1] || pool[2] == before[2] {
		t.Errorf("an operation on a pool: %v and then %v", before, pool)
	}
	r.call(http.MethodPut, clusterPath, `{"location":"local"}`)
	r.finish()
	cluster := tags()
	for i := range cluster {
		if cluster[i] == pool[i] || cluster[i] == nil {
			t.Errorf("an operation on the cluster: %v and then %v", pool, cluster)
		}
	}
	r.call(http.MethodPatch, clusterPath, `{"tags":{"a":"b"}}`)
	if patched := tags(); patched[0] == cluster[0] {
		t.Error("a change of tags keeps the cluster's entity tag")
	}
}

func TestAPatchWaitsForWhatRuns(t *testing.T) {
	r := newRig(t)
	r.group()
	if a := r.call(http.MethodPut, clusterPath, body("", "")); a.status != http.StatusCreated {
		t.Fatal(a.raw)
	}
	check(t, r.call(http.MethodPatch, clusterPath, `{"tags":{"a":"b"}}`), want{409, "OperationNotAllowed", "", "Create on the managed cluster 'demo', id " + r.cluster().Spec.Operations[0].ID})
	r.finish()
	if a := r.call(http.MethodPatch, clusterPath, `{"tags":{"a":"b"}}`); a.status != http.StatusOK {
		t.Errorf("after its end: %d %s", a.status, a.raw)
	}
}
