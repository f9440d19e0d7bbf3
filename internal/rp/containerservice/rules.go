package containerservice

import (
	"encoding/json"
	"fmt"
	"strings"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/rp/containerservice/validation"
)

// The least that a node of a pool of mode System has, because the cluster's own
// pods run there.
const (
	minSystemCPUs      = 2
	minSystemMemoryMiB = 4096
	minSystemPods      = 30
)

// checkRules checks what the properties of a cluster allow of each other. What
// the body does not name has the value that a GET of the draft would give.
func (p *Provider) checkRules(r *arm.Request, d *draft, request clusterRequest) {
	view := plain(p.clusterBody(r, d.next, nil))
	validation.Cluster(d.values(func(path string) any { return dig(view, path) }))
	for i, pool := range request.Properties.AgentPoolProfiles {
		below := fmt.Sprintf("properties.agentPoolProfiles[%d].", i)
		p.checkPool(r, d, below, pool.Name)
	}
}

// checkPoolRules is the same for a request that only speaks of a pool.
func (p *Provider) checkPoolRules(r *arm.Request, d *draft, name string) {
	p.checkPool(r, d, "properties.", name)
}

func (p *Provider) checkPool(r *arm.Request, d *draft, below, name string) {
	profile := d.next.AgentPool(name)
	if profile == nil {
		return // its name is wrong, which is told already
	}
	view := plain(p.poolBody(r, d.next, profile, nil)["properties"])
	validation.Pool(d.values(func(path string) any { return dig(view, strings.TrimPrefix(path, below)) }), below, name)
}

// values are what the body says, over what there is.
func (d *draft) values(there func(path string) any) validation.Values {
	return validation.Values{
		Get: func(path string) any {
			if d.body.Has(path) {
				return d.body.Value(path)
			}
			return there(path)
		},
		At: d.body.Path, Sent: d.body.Has, Fields: d.fields,
	}
}

// plain is a body as its reader decodes it.
func plain(body any) map[string]any {
	var tree map[string]any
	if content, err := json.Marshal(body); err != nil || json.Unmarshal(content, &tree) != nil {
		return nil // bodies always encode
	}
	return tree
}

// dig is the value at a path of objects, nil if there is none.
func dig(tree map[string]any, path string) any {
	var value any = tree
	for segment := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		value = object[segment]
	}
	return value
}

// validateSystem checks what a pool of mode System needs more than others. It
// binds what changes: a pool that is there goes on.
func (p poolDraft) validateSystem() {
	if p.pool.Mode != "System" || p.old != nil && p.old.Mode == "System" && p.old.VMSize == p.pool.VMSize {
		return
	}
	if size, known := machine.SizeByName(p.pool.VMSize); known && (size.CPUs < minSystemCPUs || size.MemoryMiB < minSystemMemoryMiB) {
		p.fields.Invalid(p.at("vmSize"), "The vmSize '%s' has %d vCPUs and %d MiB of memory; a pool of mode System needs at least %d and %d.",
			size.Name, size.CPUs, size.MemoryMiB, minSystemCPUs, minSystemMemoryMiB)
	}
	if p.pool.MaxPods >= minMaxPods && p.pool.MaxPods < minSystemPods {
		p.fields.Invalid(p.at("maxPods"), "The maxPods %d is out of range: a pool of mode System takes at least %d.", p.pool.MaxPods, minSystemPods)
	}
}
