package managedcluster

import (
	"fmt"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

// blocked is why a pool of an operation's scope cannot go on until a caller asks
// again, nil if none says so. What it said before the operation began does not count.
func (s *scope) blocked(operation meta.RunningOperation) *meta.Failure {
	for _, pool := range s.pools {
		name := pool.Spec.Profile.Name
		if operation.Scope != meta.ScopeCluster && operation.Scope != name {
			continue
		}
		told := apimeta.FindStatusCondition(pool.Status.Conditions, v1alpha1.ConditionBlocked)
		if told == nil || told.Status != metav1.ConditionTrue || told.ObservedGeneration < operation.Generation ||
			pool.Status.ObservedGeneration < pool.Generation {
			continue
		}
		return &meta.Failure{Code: told.Reason, Message: fmt.Sprintf("pool %s: %s", name, told.Message)}
	}
	return nil
}
