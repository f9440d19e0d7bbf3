package containerservice

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/upgrade"
)

// moveTo sets another version of a pool's nodes, if they may have it: none that
// the control plane does not serve yet, and none that is older than theirs.
func (p poolDraft) moveTo(to, path string) {
	from, served := p.old.OrchestratorVersion, p.next.ServedVersion()
	if wanted := p.next.Spec.KubernetesVersion; upgrade.Less(served, wanted) {
		served = wanted // the nodes are held back until the control plane has arrived
	}
	switch {
	case upgrade.Less(served, to):
		p.fields.Add("NodePoolMcVersionIncompatible", path,
			"The agent pool '%s' cannot have Kubernetes %s: the control plane serves %s, and nodes are never newer. Upgrade the control plane first.", p.pool.Name, to, served)
	case upgrade.Less(to, from):
		p.fields.Add(arm.CodeOperationNotAllowed, path,
			"The agent pool '%s' runs Kubernetes %s; downgrading it to %s is not allowed. What it ran before its last upgrade it gets back by POST …/agentPools/%s/rollback of %s.",
			p.pool.Name, from, to, p.pool.Name, BerthNamespace)
	default:
		p.pool.OrchestratorVersion, p.pool.PreviousOrchestratorVersion = to, from
	}
}

// admitPoolUpgrade decides whether an upgrade of one pool alone may start. While
// the control plane behaves as the minor before, nothing of its own minor may run:
// the pool would wait for a lift that is a day away.
func (p *Provider) admitPoolUpgrade(ctx context.Context, d *draft, name string, known facts) error {
	before, pool := d.old.AgentPool(name), d.next.AgentPool(name)
	if before == nil || before.OrchestratorVersion == pool.OrchestratorVersion {
		return nil
	}
	at := d.body.Path("properties.orchestratorVersion")
	if served := d.old.ServedVersion(); upgrade.Less(served, pool.OrchestratorVersion) {
		return arm.NewError(http.StatusBadRequest, "NodePoolMcVersionIncompatible",
			"The agent pool '%s' cannot have Kubernetes %s: the control plane still behaves as %s, and nodes are never newer. Lift it first, with POST %s or 'berth aks lift', or upgrade the whole cluster to %s, which lifts it after a soak.",
			name, pool.OrchestratorVersion, served, berthID(d.old, "lift"), d.old.Spec.KubernetesVersion).At(at)
	}
	err := p.admitUpgrade(ctx, d, known)
	var refused *arm.Error
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		return refused.At(at)
	}
	return err
}

// settings sets how nodes are replaced and let go, and whether they run.
func (p poolDraft) settings(request poolRequest) {
	if given := request.ScaleDownMode; given != "" {
		p.pool.ScaleDownMode = "" // Delete, as where nobody said anything
		if strings.EqualFold(given, string(containerservicev1alpha1.ScaleDownDeallocate)) {
			p.pool.ScaleDownMode = containerservicev1alpha1.ScaleDownDeallocate
		}
	}
	if given := request.UpgradeSettings; given != nil {
		kept := p.pool.UpgradeSettings // an older api-version does not know all of them
		p.pool.UpgradeSettings = containerservicev1alpha1.PoolUpgradeSettings{
			MaxSurge: firstOf(given.MaxSurge, kept.MaxSurge), MaxUnavailable: firstOf(given.MaxUnavailable, kept.MaxUnavailable),
			DrainTimeoutInMinutes:     cmp.Or(given.DrainTimeoutInMinutes, kept.DrainTimeoutInMinutes),
			NodeSoakDurationInMinutes: valueOr(given.NodeSoakDurationInMinutes, kept.NodeSoakDurationInMinutes),
			UndrainableNodeBehavior:   cmp.Or(containerservicev1alpha1.UndrainableNodeBehavior(given.UndrainableNodeBehavior), kept.UndrainableNodeBehavior),
		}
		none := func(share string) bool { return share == "0" || share == "0%" }
		if now := p.pool.UpgradeSettings; none(now.MaxSurge) && (now.MaxUnavailable == "" || none(now.MaxUnavailable)) {
			p.fields.Invalid(p.at("upgradeSettings.maxSurge"), "With maxSurge 0 and maxUnavailable 0 no node of the agent pool '%s' could ever be replaced: set one of them above 0.", p.pool.Name)
		}
	}
	switch code := request.PowerState.Code; {
	case code == "":
	case strings.EqualFold(code, string(meta.PowerStopped)):
		p.pool.PowerState = meta.PowerStopped
	case p.pool.PowerState != "":
		p.pool.PowerState = meta.PowerRunning
	}
}

// validatePower keeps the last pool of mode System running.
func (p poolDraft) validatePower() {
	if p.pool.PowerState != meta.PowerStopped || p.old.PowerState == meta.PowerStopped {
		return
	}
	for _, other := range p.next.Spec.AgentPools {
		if other.Name != p.pool.Name && other.Mode == "System" && other.PowerState != meta.PowerStopped {
			return
		}
	}
	if p.pool.Mode == "System" {
		p.fields.Add(arm.CodeOperationNotAllowed, p.at("powerState.code"), "The agent pool '%s' is the last one of mode System that runs and cannot be stopped. Stop the cluster instead, or start another pool of mode System first.", p.pool.Name)
	}
}

// longestDrain is how long a node of the cluster may drain.
func longestDrain(d *draft) (longest time.Duration) {
	for _, cluster := range []*containerservicev1alpha1.ManagedCluster{d.old, d.next} {
		if cluster == nil {
			continue
		}
		for _, pool := range cluster.Spec.AgentPools {
			longest = max(longest, pool.UpgradeSettings.DrainTimeout())
		}
	}
	return longest
}

// poolPower is what a caller is told: Stopped once no node runs.
func poolPower(c *containerservicev1alpha1.ManagedCluster, profile *containerservicev1alpha1.AgentPoolProfile, pool *containerservicev1alpha1.AgentPool) meta.PowerState {
	if c.Stopped() || profile.PowerState == meta.PowerStopped && pool != nil &&
		containerservicev1alpha1.ConditionTrue(pool.Status.Conditions, containerservicev1alpha1.ConditionStopped) {
		return meta.PowerStopped
	}
	return meta.PowerRunning
}

// scaleDownMode is what a caller is told of it.
func scaleDownMode(profile *containerservicev1alpha1.AgentPoolProfile) containerservicev1alpha1.ScaleDownMode {
	return cmp.Or(profile.ScaleDownMode, containerservicev1alpha1.ScaleDownDelete)
}

// upgradeSettingsBody are the settings that a caller gave.
func upgradeSettingsBody(settings containerservicev1alpha1.PoolUpgradeSettings) object {
	body := object{}
	if settings.MaxSurge != "" {
		body["maxSurge"] = settings.MaxSurge
	}
	if settings.MaxUnavailable != "" {
		body["maxUnavailable"] = settings.MaxUnavailable
	}
	if settings.DrainTimeoutInMinutes != 0 {
		body["drainTimeoutInMinutes"] = settings.DrainTimeoutInMinutes
	}
	if settings.NodeSoakDurationInMinutes != 0 {
		body["nodeSoakDurationInMinutes"] = settings.NodeSoakDurationInMinutes
	}
	if settings.UndrainableNodeBehavior != "" {
		body["undrainableNodeBehavior"] = settings.UndrainableNodeBehavior
	}
	return body
}
