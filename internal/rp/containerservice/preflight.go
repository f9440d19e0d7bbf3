package containerservice

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/addon"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/tenant"
	"berth.dev/berth/internal/upgrade"
)

type finding = upgrade.Finding

// preflight finds what stands in the way of an upgrade. The nodes of the pools
// that are named are replaced, whether their version changes or not.
func (p *Provider) preflight(ctx context.Context, old, next *containerservicev1alpha1.ManagedCluster, known facts, replaced ...string) ([]finding, error) {
	projections, err := p.pools(ctx)
	if err != nil {
		return nil, err
	}
	plan := upgrade.Plan{From: old.ServedVersion(), To: next.Spec.KubernetesVersion}
	moves := false
	for _, profile := range old.Spec.AgentPools {
		pool := upgrade.Pool{Name: profile.Name, From: profile.OrchestratorVersion, To: profile.OrchestratorVersion, Replaced: slices.Contains(replaced, profile.Name)}
		if wanted := next.AgentPool(profile.Name); wanted != nil {
			pool.To = wanted.OrchestratorVersion
		}
		moves = moves || pool.Moves()
		if !pool.Moves() { // a pool that stays is as old as its oldest node
			if projection := projections[old.Name][profile.Name]; projection != nil {
				pool.To = firstOf(projection.Status.CurrentOrchestratorVersion, pool.To)
				pool.From = pool.To
			}
		}
		plan.Pools = append(plan.Pools, pool)
	}
	facts := upgrade.Facts{Now: p.Now()}
	var plane containerservicev1alpha1.ControlPlane
	if err := p.Client.Get(ctx, types.NamespacedName{Name: old.Spec.Incarnation}, &plane); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the control plane of %s: %w", old.Name, err)
	}
	facts.Deprecated = plane.Status.DeprecatedAPIs
	if moves {
		if err := p.readTenant(ctx, old, &facts); err != nil {
			return nil, err
		}
	}
	findings := append(upgrade.Preflight(plan, facts), surgeRoom(old, next, known, replaced)...)
	return append(findings, addressRoom(old, next, projections[old.Name], replaced)...), nil
}

// readTenant reads what could hold up the drain of nodes from the cluster itself.
func (p *Provider) readTenant(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster, facts *upgrade.Facts) error {
	unreadable := func(err error) error {
		return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
			"The API server of the managed cluster '%s' does not answer (%.200s), so its PodDisruptionBudgets cannot be checked. Try again, or set upgradeSettings.overrideSettings.forceUpgrade with until.", cluster.Spec.Name, err)
	}
	dial := p.DialTenant
	if dial == nil {
		dial = p.dialTenant
	}
	reader, hangUp, err := dial(ctx, cluster)
	if err != nil {
		return unreadable(err)
	}
	defer hangUp()
	var budgets policyv1.PodDisruptionBudgetList
	var nodes corev1.NodeList
	var pods corev1.PodList
	for _, list := range []client.ObjectList{&budgets, &nodes, &pods} {
		if err := reader.List(ctx, list); err != nil {
			return unreadable(err)
		}
	}
	// Budgets of Berth's own add-ons are left to the drain, which waits for them: right
	// after a create they allow no disruption, and the cluster's owner could not relax them.
	facts.Budgets = slices.DeleteFunc(budgets.Items, func(b policyv1.PodDisruptionBudget) bool { return addon.Reconciled(&b) })
	facts.Nodes, facts.Pods = nodes.Items, pods.Items
	return nil
}

// dialTenant connects the API server of a cluster for a few reads.
func (p *Provider) dialTenant(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster) (client.Reader, func(), error) {
	var secret corev1.Secret
	key := client.ObjectKey{Namespace: naming.SystemNamespace, Name: naming.Credentials(cluster.Spec.Incarnation)}
	if err := p.Client.Get(ctx, key, &secret); err != nil {
		return nil, nil, err
	}
	return tenant.DialOnce(tenant.Endpoint{
		Address: cluster.Status.Address, CA: secret.Data[pki.ClusterCACert],
		Certificate: secret.Data[pki.ServiceClientCert], Key: secret.Data[pki.ServiceClientKey],
	})
}

// surge is how many nodes of a pool come in addition while its nodes are replaced.
func surge(old *containerservicev1alpha1.ManagedCluster, pool *containerservicev1alpha1.AgentPoolProfile, replaced []string) int32 {
	before := old.AgentPool(pool.Name)
	if before == nil || before.Count == 0 || before.OrchestratorVersion == pool.OrchestratorVersion && !slices.Contains(replaced, pool.Name) {
		return 0
	}
	return pool.UpgradeSettings.Surge(before.Count)
}

// surgeRoom finds pools for whose additional nodes during an upgrade the hosts
// have no room: all pools of an upgrade are replaced at the same time.
func surgeRoom(old, next *containerservicev1alpha1.ManagedCluster, f facts, replaced []string) (findings []finding) {
	if !f.reported || old.Stopped() {
		return nil
	}
	taken := f.others.plus(demand(old))
	for i := range next.Spec.AgentPools {
		pool := &next.Spec.AgentPools[i]
		size, _ := machine.SizeByName(pool.VMSize)
		more := int64(surge(old, pool, replaced))
		if more == 0 {
			continue
		}
		sum := taken.plus(amount{more * int64(size.CPUs), more * int64(size.MemoryMiB)})
		if sum.cpus > f.total.cpus || sum.memoryMiB > f.total.memoryMiB {
			findings = append(findings, finding{Code: upgrade.CodeCapacity, Target: pool.Name, Message: fmt.Sprintf(
				"The hosts have no room for %d more nodes of the agent pool '%s' (%s), which its upgrade needs for a while: they give out %d vCPUs and %d MiB, of which %d and %d are taken. Free some, lower maxSurge, or set maxSurge 0 with maxUnavailable 1.",
				more, pool.Name, pool.VMSize, f.total.cpus, f.total.memoryMiB, taken.cpus, taken.memoryMiB)})
			continue
		}
		taken = sum
	}
	return findings
}

// addressRoom finds pools for whose additional nodes the cluster has no pod
// ranges left. Nodes that are deallocated keep theirs, unless their pool is one of
// those: then they go.
func addressRoom(old, next *containerservicev1alpha1.ManagedCluster, projections map[string]*containerservicev1alpha1.AgentPool, replaced []string) (findings []finding) {
	pods, err := netip.ParsePrefix(old.Spec.Network.PodCIDR)
	if err != nil || pods.Bits() > nodePodBits {
		return nil // such a cluster has no nodes
	}
	room, taken := 1<<(nodePodBits-pods.Bits()), countNodes(old.Spec.AgentPools)
	for name, projection := range projections {
		if pool := next.AgentPool(name); pool != nil && surge(old, pool, replaced) == 0 {
			taken += int(projection.Status.DeallocatedCount)
		}
	}
	for i := range next.Spec.AgentPools {
		pool := &next.Spec.AgentPools[i]
		more := int(surge(old, pool, replaced))
		if more == 0 {
			continue
		}
		if taken+more > room {
			findings = append(findings, finding{Code: upgrade.CodeAddresses, Target: pool.Name, Message: fmt.Sprintf(
				"The podCidr %s has room for %d nodes, of which %d are taken, and the upgrade of the agent pool '%s' needs %d more for a while. Remove nodes (also deallocated ones), lower maxSurge, or set maxSurge 0 with maxUnavailable 1.",
				pods, room, taken, pool.Name, more)})
			continue
		}
		taken += more
	}
	return findings
}
