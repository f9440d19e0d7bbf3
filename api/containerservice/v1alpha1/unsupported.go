package v1alpha1

import (
	"encoding/json"
	"slices"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// UnsupportedAnnotation lists the properties whose values are kept and given
// back though nothing acts on them, because the operator has them recorded
// instead of refused: a JSON object of lists of paths by scope.
const UnsupportedAnnotation = "containerservice.berth.dev/unsupported-properties"

// ConditionUnsupportedProperties is true if the cluster or a pool has values of
// properties that nothing acts on; its message lists them.
const ConditionUnsupportedProperties = "UnsupportedProperties"

// UnsupportedPaths are the paths in UnsupportedAnnotation by scope; an
// annotation that an operator broke counts as empty.
func (c *ManagedCluster) UnsupportedPaths() map[string][]string {
	paths := map[string][]string{}
	if json.Unmarshal([]byte(c.Annotations[UnsupportedAnnotation]), &paths) != nil || paths == nil {
		return map[string][]string{}
	}
	return paths
}

// UnsupportedProperties are the same as one sorted list, a pool's paths behind
// its name: properties.disableLocalAccounts, agentPools/nodepool1/minCount.
func (c *ManagedCluster) UnsupportedProperties() []string {
	var all []string
	for scope, paths := range c.UnsupportedPaths() {
		for _, path := range paths {
			if scope != meta.ScopeCluster {
				path = "agentPools/" + scope + "/" + path
			}
			all = append(all, path)
		}
	}
	slices.Sort(all)
	return all
}
