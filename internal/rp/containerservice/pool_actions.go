package containerservice

import (
	"net/http"
	"slices"
	"strings"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/rp/resources"
	"berth.dev/berth/internal/upgrade"
)

// poolRoutes are the actions on agent pools.
func (p *Provider) poolRoutes() []arm.Route {
	return []arm.Route{
		{Method: http.MethodPost, Pattern: aPool + "/deleteMachines", Action: onPools + "deleteMachines/action", Handle: p.queueable(meta.VerbDeleteMachines, p.deleteMachines)},
		{Method: http.MethodPost, Pattern: aPool + "/upgradeNodeImageVersion", Action: onPools + "upgradeNodeImageVersion/action", Handle: p.queueable(meta.VerbUpgradeNodeImage, p.upgradeNodeImage)},
		{Method: http.MethodGet, Pattern: aPool + "/upgradeProfiles/default", Action: onPools + "upgradeProfiles/read", Handle: p.poolUpgradeProfile},
	}
}

// act changes one pool by an operation. change returns false if there is
// nothing to do, which is answered at once.
func (p *Provider) act(w http.ResponseWriter, r *arm.Request, verb meta.Verb,
	change func(d *draft, pool *containerservicev1alpha1.AgentPoolProfile) (bool, error)) error {
	return resources.RetryConflicts(func() error {
		cluster, err := p.cluster(r)
		if err != nil {
			return err
		}
		name := lowerName(r)
		if cluster.AgentPool(name) == nil {
			return poolNotFound(r)
		}
		if err := admitVerb(cluster, name, verb); err != nil {
			return err
		}
		d := &draft{old: cluster, next: cluster.DeepCopy(), ignoreBudgets: ignoresBudgets(r)}
		changed, err := change(d, d.next.AgentPool(name))
		if err != nil {
			return err
		}
		if !changed {
			w.WriteHeader(http.StatusOK)
			return nil
		}
		id, err := p.write(r.Context(), r, d, name, verb)
		return p.accepted(w, r, id, err)
	})
}

// rollBackPool gives a pool the version that it had before its last upgrade.
func (p *Provider) rollBackPool(w http.ResponseWriter, r *arm.Request) error {
	return p.act(w, r, meta.VerbRollback, func(_ *draft, pool *containerservicev1alpha1.AgentPoolProfile) (bool, error) {
		if pool.PreviousOrchestratorVersion == "" {
			return false, arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
				"Operation is not allowed: the agent pool '%s' cannot be rolled back: it was not upgraded, or was rolled back already.", pool.Name)
		}
		pool.OrchestratorVersion, pool.PreviousOrchestratorVersion = pool.PreviousOrchestratorVersion, ""
		return true, nil
	})
}

// upgradeNodeImage replaces the nodes that are not of the newest node image,
// once nothing is found that would hold that up.
func (p *Provider) upgradeNodeImage(w http.ResponseWriter, r *arm.Request) error {
	_, machines, err := p.machines(r)
	if err != nil {
		return err
	}
	return p.act(w, r, meta.VerbUpgradeNodeImage, func(d *draft, pool *containerservicev1alpha1.AgentPoolProfile) (bool, error) {
		old := false
		for _, machine := range machines {
			old = old || machine.Status.NodeImage != release.NodeImageName
		}
		pool.NodeImageVersion = release.NodeImageName
		if !old || d.old.Spec.ForcesUpgrade(p.Now()) {
			return old, nil
		}
		known, err := p.readFacts(r.Context(), d.old.Name)
		if err != nil {
			return false, err
		}
		findings, err := p.preflight(r.Context(), d.old, d.next, known, pool.Name)
		if err == nil && len(findings) > 0 {
			err = blockedBy(findings)
		}
		return err == nil, err
	})
}

// deleteMachines drains and deletes nodes by name; the pool's count goes down by as
// many, but for those that are deallocated.
func (p *Provider) deleteMachines(w http.ResponseWriter, r *arm.Request) error {
	_, machines, err := p.machines(r)
	if err != nil {
		return err
	}
	if err := r.ReadBody(w); err != nil {
		return err
	}
	fields := &arm.FieldErrors{}
	body := &draft{fields: fields}
	var request struct {
		MachineNames []string `json:"machineNames"`
	}
	schema, err := arm.NewSchema([]arm.Property{{Path: "machineNames", Kind: arm.Array}, {Path: "machineNames[]", Kind: arm.String}})
	if err != nil {
		return err
	}
	if err := body.decode(schema, r.Body, &request); err != nil {
		return err
	}
	leaving, nodes := map[string]bool{}, int32(0)
	for i, name := range request.MachineNames {
		at := slices.IndexFunc(machines, func(m containerservicev1alpha1.Machine) bool { return strings.EqualFold(m.Spec.NodeName, name) })
		if at < 0 {
			fields.Invalid("machineNames"+index(i), "The agent pool '%s' has no machine '%.60s'.", lowerName(r), name)
			continue
		}
		if !leaving[machines[at].Name] && !machines[at].Deallocated() { // a deallocated one is none of the count
			nodes++
		}
		leaving[machines[at].Name] = true
	}
	if len(request.MachineNames) == 0 {
		fields.Invalid("machineNames", "The machineNames are missing: name at least one machine of the agent pool.")
	}
	if err := fields.Err(); err != nil {
		return err
	}
	return p.act(w, r, meta.VerbDeleteMachines, func(_ *draft, pool *containerservicev1alpha1.AgentPoolProfile) (bool, error) {
		left := pool.Count - nodes
		if left < 0 || pool.Mode == "System" && left < 1 {
			return false, arm.NewError(http.StatusBadRequest, arm.CodeOperationNotAllowed,
				"Operation is not allowed: the agent pool '%s' of mode %s would be left with %d of its %d nodes.", pool.Name, pool.Mode, max(left, 0), pool.Count)
		}
		pool.Count, pool.LeavingMachines = left, nil
		for name := range leaving {
			pool.LeavingMachines = append(pool.LeavingMachines, name)
		}
		return true, nil
	})
}

// poolUpgradeProfile says what a pool may be upgraded to: all that is newer and
// that the control plane serves.
func (p *Provider) poolUpgradeProfile(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.cluster(r)
	if err != nil {
		return err
	}
	pool := cluster.AgentPool(lowerName(r))
	if pool == nil {
		return poolNotFound(r)
	}
	upgrades := []object{}
	for _, version := range release.Versions() {
		if upgrade.Less(pool.OrchestratorVersion, version.Version) && !upgrade.Less(cluster.ServedVersion(), version.Version) {
			upgrades = append(upgrades, object{"kubernetesVersion": version.Version, "isPreview": version.Preview})
		}
	}
	id := ClusterID(cluster.Spec.SubscriptionID, cluster.Spec.ResourceGroup, cluster.Spec.Name).Child("agentPools", pool.Name)
	return arm.WriteJSON(w, http.StatusOK, object{
		"id": wireID(id.Child("upgradeProfiles", "default")), "name": "default", "type": Namespace + "/managedClusters/agentPools/upgradeProfiles",
		"properties": object{
			"kubernetesVersion": pool.OrchestratorVersion, "osType": "Linux", "upgrades": upgrades, "latestNodeImageVersion": release.NodeImageName,
		},
	})
}
