package managedcluster

import (
	"strings"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
)

// maxConditionMessage is below the limit that Kubernetes has for a condition's message.
const maxConditionMessage = 16 << 10

// unsupported says which properties have values that nothing acts on.
func unsupported(cluster *v1alpha1.ManagedCluster) condition.Outcome {
	paths := cluster.UnsupportedProperties()
	if len(paths) == 0 {
		return condition.Outcome{Reason: "None", Message: "the service does what every property says"}
	}
	message := "kept and given back, though nothing acts on them: " + strings.Join(paths, ", ")
	return condition.Outcome{True: true, Reason: "Recorded", Message: message[:min(len(message), maxConditionMessage)]}
}
