package containerservice

import (
	"net/http"
	"strings"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

// poolOf finds a pool of a cluster. One that is being deleted is no longer in
// the cluster's spec: its projection shows what is left of it.
func (p *Provider) poolOf(cluster *containerservicev1alpha1.ManagedCluster, name string, projections map[string]*containerservicev1alpha1.AgentPool) *containerservicev1alpha1.AgentPoolProfile {
	if profile := cluster.AgentPool(name); profile != nil {
		return profile
	}
	projection := projections[name]
	if projection != nil { // it may be that its deletion has failed
		return &projection.Spec.Profile
	}
	return nil
}

func poolNotFound(r *arm.Request) error {
	id := requestID(r).Child("agentPools", r.Param("agentPoolName"))
	return arm.NewError(http.StatusNotFound, "NotFound", "Could not find the agent pool: '%.60s' in the managed cluster '%s'.", r.Param("agentPoolName"), id.Names[0])
}

func (p *Provider) getPool(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.cluster(r)
	if err != nil {
		return err
	}
	projections, err := p.pools(r.Context())
	if err != nil {
		return err
	}
	name := lowerName(r)
	profile := p.poolOf(cluster, name, projections[cluster.Name])
	if profile == nil {
		return poolNotFound(r)
	}
	tellUnsupported(w, cluster.UnsupportedPaths()[name])
	return arm.WriteJSON(w, http.StatusOK, p.poolBody(r, cluster, profile, projections[cluster.Name][name]))
}

func (p *Provider) listPools(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.cluster(r)
	if err != nil {
		return err
	}
	projections, err := p.pools(r.Context())
	if err != nil {
		return err
	}
	bodies := []object{}
	for i := range cluster.Spec.AgentPools {
		profile := &cluster.Spec.AgentPools[i]
		bodies = append(bodies, p.poolBody(r, cluster, profile, projections[cluster.Name][profile.Name]))
	}
	for name, projection := range projections[cluster.Name] {
		if cluster.AgentPool(name) == nil {
			bodies = append(bodies, p.poolBody(r, cluster, &projection.Spec.Profile, projection))
		}
	}
	page, err := arm.Page(r, bodies, func(b object) string { return b["name"].(string) })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

// putPool creates or updates a pool: a write of the cluster that it belongs to.
func (p *Provider) putPool(w http.ResponseWriter, r *arm.Request) error {
	p.admission.Lock()
	defer p.admission.Unlock()
	return resources.RetryConflicts(func() error {
		d, err := p.admitPool(r)
		if err != nil {
			return err
		}
		name := poolName(r, d.old)
		before, after := d.old.AgentPool(name), d.next.AgentPool(name)
		id, err := p.write(r.Context(), r, d, name, poolVerb(before, *after))
		if err != nil {
			return err
		}
		projections, err := p.pools(r.Context())
		if err != nil {
			return err
		}
		status := http.StatusOK
		if before == nil {
			status = http.StatusCreated
		}
		p.async(r, id, false).Set(w, r)
		tellUnsupported(w, d.next.UnsupportedPaths()[name])
		return arm.WriteJSON(w, status, p.poolBody(r, d.next, d.next.AgentPool(name), projections[d.next.Name][name]))
	})
}

// admitPool takes a request up to its write.
func (p *Provider) admitPool(r *arm.Request) (*draft, error) {
	cluster, err := p.cluster(r)
	if err != nil {
		return nil, err
	}
	name := poolName(r, cluster)
	if err := checkETag(r, cluster, name); err != nil {
		return nil, err
	}
	if err := admitStopped(cluster, name); err != nil {
		return nil, err
	}
	d := &draft{old: cluster, next: cluster.DeepCopy(), fields: &arm.FieldErrors{}, apiVersion: r.APIVersion, ignoreBudgets: ignoresBudgets(r)}
	var request agentPoolRequest
	if err := d.decode(p.poolSchema, r.Body, &request); err != nil {
		return nil, err
	}
	if given := request.Properties.Name; given != "" && given != name {
		d.fields.Invalid(d.body.Path("properties.name"), "The name '%.60s' in the body is not the '%.60s' of the path.", given, name)
	}
	request.Properties.Name = name
	setPool(&d.next.Spec, convertPool(d, request.Properties, "properties."))
	validatePools(d, p.AllowNoAgentPools)
	p.checkPoolRules(r, d, name)
	keepInert(d, func(path string) (string, string) { return name, path[min(len("properties."), len(path)):] })
	known, err := p.readFacts(r.Context(), cluster.Name)
	if err != nil {
		return nil, err
	}
	if err := p.admitPlace(r, d, known, map[string]string{name: "properties."}); err != nil {
		return nil, err
	}
	if err := d.fields.Err(); err != nil {
		return nil, err
	}
	if err := admitOperation(cluster, name); err != nil {
		return nil, asking(err, poolVerb(cluster.AgentPool(name), *d.next.AgentPool(name)))
	}
	if err := p.admitPoolUpgrade(r.Context(), d, name, known); err != nil {
		return nil, err
	}
	return d, p.admitRoom(r.Context(), cluster, d.next, known, d.body.Path("properties.count"))
}

// deletePool takes a pool out of its cluster's desired state.
func (p *Provider) deletePool(w http.ResponseWriter, r *arm.Request) error {
	return resources.RetryConflicts(func() error {
		cluster, err := p.find(r.Context(), requestID(r))
		if err != nil {
			return err
		}
		if cluster == nil {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		name := lowerName(r)
		if running := cluster.Operation(name); running != nil && running.Verb == meta.VerbDelete && cluster.DeletionTimestamp == nil {
			p.async(r, running.ID, true).Set(w, r)
			w.WriteHeader(http.StatusAccepted)
			return nil
		}
		projections, err := p.pools(r.Context())
		if err != nil {
			return err
		}
		if cluster.AgentPool(name) == nil && projections[cluster.Name][name] == nil {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		if err := checkETag(r, cluster, name); err != nil {
			return err
		}
		if err := admitOperation(cluster, name); err != nil {
			return err
		}
		d := &draft{old: cluster, next: cluster.DeepCopy()}
		if removePool(&d.next.Spec, name); cluster.AgentPool(name) != nil { // otherwise a deletion that failed goes on
			if err := p.admitPoolDelete(d, name); err != nil {
				return err
			}
		}
		d.ignoreBudgets = ignoresBudgets(r)
		id, err := p.write(r.Context(), r, d, name, meta.VerbDelete)
		if err != nil {
			return err
		}
		p.async(r, id, true).Set(w, r)
		w.WriteHeader(http.StatusAccepted)
		return nil
	})
}

// ignoresBudgets says that pods may be deleted which a PodDisruptionBudget protects.
func ignoresBudgets(r *arm.Request) bool {
	return strings.EqualFold(r.URL.Query().Get("ignore-pod-disruption-budget"), "true")
}

// admitPoolDelete keeps a cluster from losing its last pool of mode System.
func (p *Provider) admitPoolDelete(d *draft, name string) error {
	left := d.next.Spec.AgentPools
	if hasSystemPool(left) || len(left) == 0 && p.AllowNoAgentPools {
		return nil
	}
	return arm.NewError(http.StatusBadRequest, arm.CodeOperationNotAllowed,
		"The agent pool '%s' is the last one of mode System in the managed cluster '%s' and cannot be deleted: must define at least one system pool.", name, d.old.Spec.Name).At("agentPoolName")
}

func removePool(spec *containerservicev1alpha1.ManagedClusterSpec, name string) {
	kept := spec.AgentPools[:0]
	for _, pool := range spec.AgentPools {
		if pool.Name != name {
			kept = append(kept, pool)
		}
	}
	spec.AgentPools = kept
}

// lowerName is the pool's name of the path: names of pools are in lower case,
// and paths compare regardless of case.
func lowerName(r *arm.Request) string { return strings.ToLower(r.Param("agentPoolName")) }

// poolName is the name under which a pool is looked for: that of the path as it
// is for a pool that would be new, so that a wrong name is told.
func poolName(r *arm.Request, cluster *containerservicev1alpha1.ManagedCluster) string {
	if cluster.AgentPool(lowerName(r)) != nil {
		return lowerName(r)
	}
	return r.Param("agentPoolName")
}
