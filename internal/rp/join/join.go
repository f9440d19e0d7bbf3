// Package join keeps what two requests at once do to a virtual network from missing
// each other: one that lets a cluster into it, and one that takes a subnet away, or
// lets another cluster take the same addresses. Either looks at the network, then at
// the clusters, and writes one of the two; so whoever is about to write a cluster first
// claims its place on the network, under the version that was read before the clusters
// were. Whoever looked at the same time is told to look again, and finds the claim.
package join

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
)

const (
	// prefix begins the annotations of claims; the cluster's object name follows.
	prefix = "join.berth.dev/"
	// leaving is the annotation of a network that is about to be deleted.
	leaving = "leave.berth.dev/until"
	// lifetime is longer than any write of a request can take: what a front end
	// that died left behind ends by it.
	lifetime = 3 * time.Minute
)

// claim is a cluster as it is about to be written, as far as networks ask for it.
type claim struct {
	SubscriptionID    string                                `json:"subscriptionID"`
	ResourceGroup     string                                `json:"resourceGroup"`
	Name              string                                `json:"name"`
	NodeResourceGroup string                                `json:"nodeResourceGroup,omitempty"`
	Network           containerservicev1.NetworkProfile     `json:"network"`
	Pools             []containerservicev1.AgentPoolProfile `json:"pools"`
	// Generation is the cluster's that the claim was made upon, 0 of a new one:
	// a cluster that was written since speaks for itself.
	Generation int64     `json:"generation,omitempty"`
	Until      time.Time `json:"until"`
}

// placeOf is what a cluster claims.
func placeOf(c *containerservicev1.ManagedCluster) claim {
	one := claim{
		SubscriptionID: c.Spec.SubscriptionID, ResourceGroup: c.Spec.ResourceGroup, Name: c.Spec.Name,
		NodeResourceGroup: c.Spec.NodeResourceGroup, Network: c.Spec.Network,
	}
	for i := range c.Spec.AgentPools {
		pool := &c.Spec.AgentPools[i]
		one.Pools = append(one.Pools, containerservicev1.AgentPoolProfile{
			Name: pool.Name, Count: pool.Count, MaxPods: pool.MaxPods, UpgradeSettings: pool.UpgradeSettings,
			VNetSubnetID: pool.VNetSubnetID, PodSubnetID: pool.PodSubnetID,
		})
	}
	return one
}

// Claim puts into the network what a cluster shall become, old being what it is, nil
// of a new one. It says whether there is anything to claim: if so, the network has
// to be written, under the version that was read, before the cluster is.
func Claim(n *networkv1.VirtualNetwork, old, next *containerservicev1.ManagedCluster, now time.Time) (bool, error) {
	one := placeOf(next)
	if old != nil {
		before, err := json.Marshal(placeOf(old))
		if err != nil {
			return false, fmt.Errorf("comparing places in a network: %w", err)
		}
		if after, err := json.Marshal(one); err != nil || string(before) == string(after) {
			return false, err
		}
		one.Generation = old.Generation
	}
	one.Until = now.Add(lifetime).UTC()
	text, err := json.Marshal(one)
	if err != nil {
		return false, fmt.Errorf("claiming a place in a network: %w", err)
	}
	for key, value := range n.Annotations {
		if _, live := read(key, value, now); strings.HasPrefix(key, prefix) && !live {
			delete(n.Annotations, key)
		}
	}
	if n.Annotations == nil {
		n.Annotations = map[string]string{}
	}
	n.Annotations[prefix+next.Name] = string(text)
	return true, nil
}

// read reads an annotation, if it is a claim that still holds.
func read(key, value string, now time.Time) (claim, bool) {
	var one claim
	if !strings.HasPrefix(key, prefix) || json.Unmarshal([]byte(value), &one) != nil || !one.Until.After(now) {
		return claim{}, false
	}
	return one, true
}

// With are clusters that were read after the network, those that are claimed to become
// otherwise as they shall be, and those that are claimed to come. What it is given
// stays as it is.
func With(n *networkv1.VirtualNetwork, clusters []containerservicev1.ManagedCluster, now time.Time) []containerservicev1.ManagedCluster {
	all := slices.Clone(clusters)
	for key, value := range n.Annotations {
		one, live := read(key, value, now)
		if !live {
			continue
		}
		name := strings.TrimPrefix(key, prefix)
		at := slices.IndexFunc(all, func(c containerservicev1.ManagedCluster) bool { return c.Name == name })
		if at >= 0 && all[at].Generation > one.Generation {
			continue // it was written since, and shows what it became
		}
		if at < 0 {
			at = len(all)
			all = append(all, containerservicev1.ManagedCluster{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
		spec := &all[at].Spec
		spec.SubscriptionID, spec.ResourceGroup, spec.Name = one.SubscriptionID, one.ResourceGroup, one.Name
		spec.NodeResourceGroup, spec.Network, spec.AgentPools = one.NodeResourceGroup, one.Network, one.Pools
	}
	return all
}

// Leave says that the network is about to be deleted. It has to be written under the
// version that was read before its users were looked for.
func Leave(n *networkv1.VirtualNetwork, now time.Time) {
	if n.Annotations == nil {
		n.Annotations = map[string]string{}
	}
	n.Annotations[leaving] = now.Add(lifetime).UTC().Format(time.RFC3339)
}

// Leaves says whether the network is being deleted, or about to be.
func Leaves(n *networkv1.VirtualNetwork, now time.Time) bool {
	until, err := time.Parse(time.RFC3339, n.Annotations[leaving])
	return n.DeletionTimestamp != nil || err == nil && until.After(now)
}
