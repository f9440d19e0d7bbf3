package containerservice

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// The annotations of a ManagedCluster that only the front end reads: values
// without effect, kept to be given back, and the random part of entity tags.
const (
	inertAnnotation = "containerservice.berth.dev/inert-properties"
	etagAnnotation  = "containerservice.berth.dev/etags"
)

// maxInert is the most that is kept; annotations have a limit of 256 KiB.
const maxInert = 64 << 10

// values are the kept values of a cluster: by scope (the cluster or a pool),
// then by path below "properties." of that scope, or from the root for the envelope.
type values map[string]map[string]any

// loadValues reads an annotation; one that an operator broke counts as empty.
func loadValues(cluster *containerservicev1alpha1.ManagedCluster) values {
	result := values{}
	if json.Unmarshal([]byte(cluster.Annotations[inertAnnotation]), &result) != nil || result == nil {
		return values{}
	}
	return result
}

// set keeps a value.
func (v values) set(scope, path string, value any) {
	if v[scope] == nil {
		v[scope] = map[string]any{}
	}
	v[scope][path] = value
}

// hasScope says whether a scope is the cluster or one of its pools.
func hasScope(cluster *containerservicev1alpha1.ManagedCluster, scope string) bool {
	return scope == meta.ScopeCluster || cluster.AgentPool(scope) != nil
}

// keepInert stores the inert and the recorded values of a body with the draft. A path is
// replaced if the body has it and kept otherwise.
func keepInert(d *draft, scopeOf func(path string) (scope, rest string)) {
	kept := loadValues(d.next)
	for _, value := range d.body.Inert {
		scope, rest := scopeOf(value.Path)
		if scope == "" || strings.Contains(rest, "[") {
			continue
		}
		kept.set(scope, rest, value.Value)
	}
	recordUnsupported(d, kept, scopeOf)
	for scope := range kept {
		delete(kept[scope], "scaleDownMode") // it has an effect now, which it had not when older objects were written
		if !hasScope(d.next, scope) {
			delete(kept, scope)
		}
	}
	content, err := json.Marshal(kept)
	if err != nil || len(content) > maxInert {
		d.fields.Invalid("properties", "The properties that are kept without effect have %d bytes; at most %d are allowed.", len(content), maxInert)
		return
	}
	annotate(d.next, inertAnnotation, string(content))
}

// clusterScope sorts the values of a cluster's body: those of pools by the pool's name.
func clusterScope(request clusterRequest) func(string) (string, string) {
	return func(path string) (string, string) {
		const pools = "properties.agentPoolProfiles["
		rest, inPool := strings.CutPrefix(path, pools)
		if !inPool {
			return meta.ScopeCluster, path
		}
		var i int
		number, rest, _ := strings.Cut(rest, "].")
		if _, err := fmt.Sscanf(number, "%d", &i); err != nil || i >= len(request.Properties.AgentPoolProfiles) {
			return "", ""
		}
		return request.Properties.AgentPoolProfiles[i].Name, rest
	}
}

// mergeInert puts the kept values of a scope into an answer.
func mergeInert(into map[string]any, kept map[string]any) {
	for path, value := range kept {
		target := into
		segments := strings.Split(path, ".")
		for _, segment := range segments[:len(segments)-1] {
			next, ok := target[segment].(map[string]any)
			if !ok {
				next = map[string]any{}
				target[segment] = next
			}
			target = next
		}
		target[segments[len(segments)-1]] = value
	}
}

// renewETags gives scopes new entity tags: an operation on the cluster renews
// its own and those of all pools, one on a pool only the pool's.
func renewETags(cluster *containerservicev1alpha1.ManagedCluster, scope string) {
	tags := map[string]string{}
	_ = json.Unmarshal([]byte(cluster.Annotations[etagAnnotation]), &tags) // a broken one counts as empty
	renewed := map[string]string{}
	renew := func(name string) {
		if renewed[name] = tags[name]; renewed[name] == "" || scope == name || scope == meta.ScopeCluster {
			renewed[name] = uuid.NewString()
		}
	}
	renew(meta.ScopeCluster)
	for _, pool := range cluster.Spec.AgentPools {
		renew(pool.Name)
	}
	content, _ := json.Marshal(renewed) // a map of strings always encodes
	annotate(cluster, etagAnnotation, string(content))
}

// etag is the entity tag of a scope: it changes with each operation, and also
// when an operator edits the object.
func etag(cluster *containerservicev1alpha1.ManagedCluster, scope string) string {
	if cluster == nil {
		return ""
	}
	tags := map[string]string{}
	_ = json.Unmarshal([]byte(cluster.Annotations[etagAnnotation]), &tags)
	var content []byte
	if pool := cluster.AgentPool(scope); pool != nil {
		content, _ = json.Marshal(pool)
	} else {
		spec := cluster.Spec.DeepCopy()
		spec.AgentPools, spec.Operations, spec.Queue, spec.FormerPrincipals = nil, nil, nil, nil
		spec.PowerSchedules, spec.PowerSchedulesDone = nil, nil // resources of their own
		content, _ = json.Marshal(spec)
	}
	space, err := uuid.Parse(tags[scope])
	if err != nil {
		space = uuid.NameSpaceOID
	}
	return uuid.NewSHA1(space, append(content, string(cluster.UID)...)).String()
}

func annotate(cluster *containerservicev1alpha1.ManagedCluster, name, value string) {
	if cluster.Annotations == nil {
		cluster.Annotations = map[string]string{}
	}
	cluster.Annotations[name] = value
}

// checkETag is the request's condition on a scope of a cluster.
func checkETag(r *arm.Request, cluster *containerservicev1alpha1.ManagedCluster, scope string) error {
	exists := cluster != nil && (scope == meta.ScopeCluster || cluster.AgentPool(scope) != nil)
	return r.CheckETag(exists, etag(cluster, scope))
}
