package agentpool

import (
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// labels are those of every node of the pool: AKS's own over the caller's.
func labels(s *scope) map[string]string {
	profile := s.pool.Spec.Profile
	labels := maps.Clone(profile.NodeLabels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, map[string]string{
		"agentpool":                        profile.Name,
		"kubernetes.azure.com/agentpool":   profile.Name,
		"kubernetes.azure.com/cluster":     labelValue(s.cluster.Spec.NodeResourceGroup),
		"kubernetes.azure.com/mode":        strings.ToLower(profile.Mode),
		"kubernetes.azure.com/role":        "agent",
		"node.kubernetes.io/instance-type": profile.VMSize,
		"topology.kubernetes.io/region":    s.cluster.Spec.Location,
	})
	return labels
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
