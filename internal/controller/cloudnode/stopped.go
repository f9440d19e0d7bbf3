package cloudnode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/fleet"
	"berth.dev/berth/internal/tenant"
)

// What a node whose machine is stopped says, as if its cluster had found out.
const (
	reasonUnknown  = "NodeStatusUnknown"
	reasonNotReady = "NodeNotReady" // of its pods
	stoppedMessage = "The machine of the node is stopped."
)

// stopped are the machines of a cluster that were told to stop and that their
// hosts have seen stopped, by their providerID in lower case.
func (c *Controller) stopped(ctx context.Context, cluster string) (map[string]client.ObjectKey, error) {
	machines, err := fleet.Of(ctx, c.client, cluster)
	if err != nil {
		return nil, err
	}
	stopped := map[string]client.ObjectKey{}
	for i := range machines {
		if isStopped(&machines[i]) {
			stopped[strings.ToLower(machines[i].Spec.ProviderID)] = client.ObjectKeyFromObject(&machines[i])
		}
	}
	return stopped, nil
}

func isStopped(machine *containerservicev1.Machine) bool {
	return machine.Spec.PowerState == meta.PowerStopped && machine.DeletionTimestamp == nil &&
		containerservicev1.ConditionTrue(machine.Status.Conditions, containerservicev1.ConditionStopped)
}

// silence tells a cluster at once what it would find out after most of a minute:
// that nothing is heard of a node and that its pods serve nobody. Upstream's node
// lifecycle controller marks the pods of nodes that it finds out about itself
// and of no others, so they come first: what a kill leaves undone, the next look
// at a node that is still ready does. It taints the node by what it says.
// A kubelet that runs by mistake, or again, says otherwise in seconds.
func (c *Controller) silence(ctx context.Context, t *tenant.Tenant, node *corev1.Node, key client.ObjectKey) error {
	machine := &containerservicev1.Machine{}
	if err := c.reader.Get(ctx, key, machine); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !isStopped(machine) { // the cache is behind
		return nil
	}
	var pods corev1.PodList
	if err := t.Client.List(ctx, &pods, client.MatchingFields{"spec.nodeName": node.Name}); err != nil {
		return fmt.Errorf("listing the pods of node %s: %w", node.Name, err)
	}
	var errs []error
	for i := range pods.Items {
		errs = append(errs, notReady(ctx, t, &pods.Items[i]))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	changed := node.DeepCopy()
	for i := range changed.Status.Conditions {
		condition := &changed.Status.Conditions[i]
		if slices.Contains([]corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure}, condition.Type) {
			condition.Status, condition.Reason, condition.Message = corev1.ConditionUnknown, reasonUnknown, stoppedMessage
			condition.LastTransitionTime = metav1.Now()
		}
	}
	patch := client.MergeFromWithOptions(node, client.MergeFromWithOptimisticLock{})
	if err := t.Client.Status().Patch(ctx, changed, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("telling that node %s is stopped: %w", node.Name, err)
	}
	return nil
}

// notReady says that a pod serves nobody.
func notReady(ctx context.Context, t *tenant.Tenant, pod *corev1.Pod) error {
	changed := pod.DeepCopy()
	for i := range changed.Status.Conditions {
		if condition := &changed.Status.Conditions[i]; condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			condition.Status, condition.Reason, condition.Message = corev1.ConditionFalse, reasonNotReady, stoppedMessage
			condition.LastTransitionTime = metav1.Now()
			patch := client.MergeFromWithOptions(pod, client.MergeFromWithOptimisticLock{})
			if err := t.Client.Status().Patch(ctx, changed, patch); err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("telling that pod %s/%s is not ready: %w", pod.Namespace, pod.Name, err)
			}
			return nil
		}
	}
	return nil
}
