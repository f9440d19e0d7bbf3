package containerservice

import (
	"context"
	"net/http"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	hostv1alpha1 "berth.dev/berth/api/host/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/machine"
)

// amount is an amount of what hosts give out.
type amount struct {
	cpus, memoryMiB int64
}

// facts are what admission knows beside the cluster itself.
type facts struct {
	// publicRanges are the address pools of the hosts' edges.
	publicRanges []netip.Prefix
	// reported says whether any host has said what it has; total is that, times overcommit.
	reported bool
	total    amount
	// others is what the pools of all other clusters take, clusters are all of them.
	others   amount
	clusters []containerservicev1alpha1.ManagedCluster
	// ledger is what front ends have reserved, as it was before all else was read.
	ledger *corev1.ConfigMap
}

// readFacts reads what admission needs to know for a cluster.
func (p *Provider) readFacts(ctx context.Context, clusterName string) (facts, error) {
	ledger, err := p.readLedger(ctx)
	if err != nil {
		return facts{}, err
	}
	var hosts hostv1alpha1.HostList
	if err := p.Client.List(ctx, &hosts); err != nil {
		return facts{}, err
	}
	var clusters containerservicev1alpha1.ManagedClusterList
	if err := p.Client.List(ctx, &clusters); err != nil {
		return facts{}, err
	}
	result := facts{ledger: ledger, others: p.pending(ledger, clusters.Items, clusterName), clusters: clusters.Items}
	for _, host := range hosts.Items {
		if prefix, err := netip.ParsePrefix(host.Spec.PublicRange); err == nil {
			result.publicRanges = append(result.publicRanges, prefix)
		}
		if host.Status.CPUs > 0 && host.Status.MemoryMiB > 0 {
			result.reported = true
			result.total.cpus += int64(host.Status.CPUs) * int64(max(host.Spec.CPUOvercommit, 1))
			result.total.memoryMiB += host.Status.MemoryMiB * int64(max(host.Spec.MemoryOvercommit, 1))
		}
	}
	for i := range clusters.Items {
		if clusters.Items[i].Name != clusterName {
			result.others = result.others.plus(demand(&clusters.Items[i]))
		}
	}
	return result, nil
}

func (a amount) plus(b amount) amount {
	return amount{a.cpus + b.cpus, a.memoryMiB + b.memoryMiB}
}

// demand is what the pools of a cluster take; those of a stopped one take nothing.
func demand(cluster *containerservicev1alpha1.ManagedCluster) amount {
	var sum amount
	if cluster.Stopped() {
		return sum
	}
	for _, pool := range cluster.Spec.AgentPools {
		size, _ := machine.SizeByName(pool.VMSize)
		sum.cpus += int64(pool.Count) * int64(size.CPUs)
		sum.memoryMiB += int64(pool.Count) * int64(size.MemoryMiB)
	}
	return sum
}

// admitCapacity decides whether the hosts have room for a cluster's pools. What
// does not grow is always admitted, so that a cluster on hosts that shrank can
// still be scaled in.
func admitCapacity(old, next *containerservicev1alpha1.ManagedCluster, f facts, target string) error {
	var before amount
	if old != nil {
		before = demand(old)
	}
	after := demand(next)
	if after.cpus <= before.cpus && after.memoryMiB <= before.memoryMiB {
		return nil
	}
	if !f.reported {
		return arm.NewError(http.StatusServiceUnavailable, "ServiceUnavailable",
			"No host has reported its capacity yet. Repeat the request in a few seconds.").With("Retry-After", "2")
	}
	if sum := f.others.plus(after); sum.cpus > f.total.cpus || sum.memoryMiB > f.total.memoryMiB {
		return arm.NewError(http.StatusConflict, "AllocationFailed",
			"Allocation failed. The service does not have sufficient capacity for the requested sizes: the agent pools of this cluster would take %d vCPUs and %d MiB of memory, those of the other clusters take %d and %d, and the hosts give out %d and %d. Ask for fewer or smaller nodes, stop or delete what is not needed, or have the operator add capacity or raise the overcommit.",
			after.cpus, after.memoryMiB, f.others.cpus, f.others.memoryMiB, f.total.cpus, f.total.memoryMiB).At(target)
	}
	return nil
}
