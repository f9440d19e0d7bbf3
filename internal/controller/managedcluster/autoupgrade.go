package managedcluster

import (
	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
)

// tellAutoUpgrade tells in a condition what the controller of automatic upgrades
// found. That one does not write it itself: a list of conditions has one writer.
func tellAutoUpgrade(status *v1alpha1.ManagedClusterStatus, stamp condition.Stamp) {
	seen := status.AutoUpgrade
	if seen == nil {
		apimeta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionAutoUpgrade)
		return
	}
	stamp.Set(&status.Conditions, v1alpha1.ConditionAutoUpgrade, condition.Outcome{True: seen.Done, Reason: seen.Reason, Message: seen.Message})
}

// autoUpgradeChanged lets in what the controller of automatic upgrades has written.
func autoUpgradeChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, wasCluster := e.ObjectOld.(*v1alpha1.ManagedCluster)
		after, isCluster := e.ObjectNew.(*v1alpha1.ManagedCluster)
		return wasCluster && isCluster && !equality.Semantic.DeepEqual(before.Status.AutoUpgrade, after.Status.AutoUpgrade)
	}}
}
