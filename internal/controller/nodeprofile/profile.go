// Package nodeprofile owns what a pool keeps on its nodes: labels and taints. It
// is pure: it computes what a node is to have, and changes a node that was read.
//
// A node remembers, in an annotation, what its pool gave it the last time. Only
// that is ever taken away again: what others put on a node is theirs.
package nodeprofile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// Annotation is on every node: what its pool gave it, as JSON.
const Annotation = "containerservice.berth.dev/node-profile"

// Profile is what a node has of its pool.
type Profile struct {
	Labels map[string]string `json:"labels,omitempty"`
	// Taints are key=value:effect.
	Taints []string `json:"taints,omitempty"`
}

// Of is what the nodes of a pool have, those in a zone.
func Of(cluster *v1alpha1.ManagedCluster, pool v1alpha1.AgentPoolProfile, zone string) Profile {
	labels := maps.Clone(pool.NodeLabels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, map[string]string{ // the service's own, over the caller's
		"agentpool":                        pool.Name,
		"kubernetes.azure.com/agentpool":   pool.Name,
		"kubernetes.azure.com/cluster":     labelValue(cluster.Spec.NodeResourceGroup),
		"kubernetes.azure.com/mode":        strings.ToLower(pool.Mode),
		"kubernetes.azure.com/role":        "agent",
		"node.kubernetes.io/instance-type": pool.VMSize,
		"topology.kubernetes.io/region":    cluster.Spec.Location,
	})
	if zone != "" {
		labels["topology.kubernetes.io/zone"] = cluster.Spec.Location + "-" + zone
	}
	return Profile{Labels: labels, Taints: pool.NodeTaints}
}

// Digest names a profile. It depends on nothing but what the profile says.
func (p Profile) Digest() string {
	sum := sha256.Sum256(p.encode())
	return hex.EncodeToString(sum[:8])
}

func (p Profile) encode() []byte {
	content, _ := json.Marshal(p) // maps of strings always encode, in order
	return content
}

// Apply gives a node what it lacks of the profile and takes what the pool gave
// it and no longer wants. registered is what the kubelet registered the node
// with: it counts as given where the node remembers nothing yet. Apply says
// whether it changed the taints, which are a list that others change, too.
func (p Profile) Apply(node *corev1.Node, registered Profile) (tainted bool) {
	before := registered
	var kept Profile
	if json.Unmarshal([]byte(node.Annotations[Annotation]), &kept) == nil {
		before = kept
	}
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	for key, value := range before.Labels {
		if _, wanted := p.Labels[key]; !wanted && node.Labels[key] == value {
			delete(node.Labels, key)
		}
	}
	maps.Copy(node.Labels, p.Labels)
	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}
	node.Annotations[Annotation] = string(p.encode())
	return p.taint(node, before)
}

func (p Profile) taint(node *corev1.Node, before Profile) (changed bool) {
	for _, text := range before.Taints {
		if slices.Contains(p.Taints, text) {
			continue
		}
		gone := parse(text)
		kept := slices.DeleteFunc(slices.Clone(node.Spec.Taints), func(t corev1.Taint) bool { return same(t, gone) && t.Value == gone.Value })
		changed = changed || len(kept) != len(node.Spec.Taints)
		node.Spec.Taints = kept
	}
	for _, text := range p.Taints {
		wanted := parse(text)
		at := slices.IndexFunc(node.Spec.Taints, func(t corev1.Taint) bool { return same(t, wanted) })
		switch {
		case at < 0:
			node.Spec.Taints, changed = append(node.Spec.Taints, wanted), true
		case node.Spec.Taints[at].Value != wanted.Value:
			node.Spec.Taints[at].Value, changed = wanted.Value, true
		}
	}
	return changed
}

// same says that two taints cannot be on one node.
func same(a, b corev1.Taint) bool { return a.Key == b.Key && a.Effect == b.Effect }

// parse reads a taint key=value:effect, which was validated.
func parse(text string) corev1.Taint {
	pair, effect, _ := strings.Cut(text, ":")
	key, value, _ := strings.Cut(pair, "=")
	return corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)}
}

// labelValue makes a label's value of a name in ARM, which may be longer and
// hold other characters; as in AKS, what is too long is cut off.
func labelValue(name string) string {
	value := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '_'
	}, name)
	value = value[:min(len(value), validation.LabelValueMaxLength)]
	return strings.Trim(value, "-_.")
}
