package machine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
)

const (
	// drainAnnotation is on a node that takes no pods because its machine is to
	// leave: one that somebody else cordoned stays so.
	drainAnnotation = "containerservice.berth.dev/drain"
	// quarantineLabel is AKS's mark of a node that did not drain in time.
	quarantineLabel = "kubernetes.azure.com/upgrade-status"
	quarantined     = "Quarantined"

	// leavingInterval is how soon pods that end are looked at again,
	// blockedInterval how soon an eviction is tried again that was refused.
	leavingInterval = 300 * time.Millisecond
	blockedInterval = 2 * time.Second
	// silentFor is how long a kubelet has to be silent, beyond the 40 s after
	// which the cluster calls it so, until nobody waits for its pods to end.
	silentFor = 20 * time.Second
	// evictionsAtOnce bounds the evictions of one look.
	evictionsAtOnce = 50

	// ReasonPodsBlocked says that a pod cannot be evicted now.
	ReasonPodsBlocked = "UnsatisfiablePDB"
	mirrorAnnotation  = "kubernetes.io/config.mirror"
)

// drain empties the node of a machine that is to leave, through the eviction
// API, and lets a node take pods again whose machine stays. It never waits: what
// an eviction began is seen at the next look.
type drain struct {
	endpoints *endpoints
}

func (p *drain) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	wish := s.machine.Spec.Drain
	switch {
	case wish == nil && (s.node == nil || s.tenant == nil):
		return reconcile.Result{}, nil
	case wish == nil:
		return reconcile.Result{}, s.uncordon(ctx)
	case s.machine.Spec.PowerState == meta.PowerStopped:
		return reconcile.Result{}, s.tellDrained(condition.True("the machine is stopped"))
	case s.tenant == nil || s.node == nil && !s.nodeKnown:
		return reconcile.Result{}, s.tellDrained(condition.Waiting("waiting for the API server of the cluster, to drain the node"))
	case s.node == nil:
		return reconcile.Result{}, s.tellDrained(condition.True("there is no node to drain"))
	case wish.GivenUp == v1alpha1.UndrainableSchedule:
		s.keepDrained()
		return reconcile.Result{}, s.uncordon(ctx)
	}
	mark := ""
	if wish.GivenUp == v1alpha1.UndrainableCordon {
		mark = quarantined
	}
	if err := s.cordon(ctx, mark); err != nil {
		return reconcile.Result{}, s.tellDrained(condition.Failed(err))
	}
	if wish.GivenUp != "" {
		s.keepDrained()
		return reconcile.Result{}, nil
	}
	return p.empty(ctx, s)
}

func (s *scope) tellDrained(outcome condition.Outcome) error {
	s.drained = &outcome
	return nil
}

// keepDrained leaves what held up the drain as it was told.
func (s *scope) keepDrained() {
	outcome := condition.Mirror(s.machine.Status.Conditions, v1alpha1.ConditionDrained, "the node did not drain in time")
	s.drained = &outcome
}

// empty evicts what is there and says what is left.
func (p *drain) empty(ctx context.Context, s *scope) (reconcile.Result, error) {
	if left, silent := s.silent(); silent && left <= 0 {
		return reconcile.Result{}, s.tellDrained(condition.True("the kubelet does not answer: its pods are deleted with the machine"))
	}
	pods, err := podsOn(ctx, s)
	if err != nil {
		return reconcile.Result{RequeueAfter: blockedInterval}, s.tellDrained(condition.Failed(err))
	}
	if told, err := p.mayEvict(ctx, s, pods); err != nil {
		return reconcile.Result{RequeueAfter: blockedInterval}, s.tellDrained(condition.Failed(err))
	} else if !told {
		return reconcile.Result{RequeueAfter: endpointsInterval}, s.tellDrained(condition.Waiting("waiting for the control plane to follow the endpoints of services, so that no node sends to pods that leave"))
	}
	left, evictions, first, blocked := 0, 0, "", ""
	for i := range pods {
		pod := &pods[i]
		if staysBehind(pod) {
			continue
		}
		if left++; first == "" {
			first = pod.Namespace + "/" + pod.Name
		}
		late := !s.now.Before(s.machine.Spec.Drain.Deadline.Time)
		if pod.DeletionTimestamp != nil || late || evictions == evictionsAtOnce {
			continue
		}
		evictions++
		why, err := evict(ctx, s, pod)
		if err != nil {
			return reconcile.Result{RequeueAfter: blockedInterval}, s.tellDrained(condition.Failed(err))
		}
		if blocked == "" && why != "" {
			blocked = fmt.Sprintf("pod %s/%s cannot be evicted: %s", pod.Namespace, pod.Name, why)
		}
	}
	switch {
	case left == 0:
		return reconcile.Result{}, s.tellDrained(condition.True("the node holds no pods that have to leave"))
	case blocked != "":
		return reconcile.Result{RequeueAfter: blockedInterval}, s.tellDrained(condition.Outcome{Reason: ReasonPodsBlocked, Message: blocked})
	default:
		return reconcile.Result{RequeueAfter: leavingInterval}, s.tellDrained(condition.Waiting(fmt.Sprintf("waiting for %d pods to end, the first is %s", left, first)))
	}
}

// mayEvict says whether those who call the pods that are to leave would learn of
// it. Who ignores budgets does not care.
func (p *drain) mayEvict(ctx context.Context, s *scope, pods []corev1.Pod) (bool, error) {
	leaves := func(pod corev1.Pod) bool { return !staysBehind(&pod) && pod.DeletionTimestamp == nil }
	if s.machine.Spec.Drain.IgnoreBudgets || !slices.ContainsFunc(pods, leaves) {
		return true, nil
	}
	return p.endpoints.told(ctx, s)
}

// silent says that the kubelet no longer reports, and how long it may do so
// until its pods are given up.
func (s *scope) silent() (left time.Duration, silent bool) {
	for _, c := range s.node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionUnknown {
			return c.LastTransitionTime.Add(silentFor).Sub(s.now), true
		}
	}
	return 0, false
}

// podsOn reads the pods of the node from the API server itself.
func podsOn(ctx context.Context, s *scope) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := s.tenant.Client.List(ctx, &pods, client.MatchingFields{"spec.nodeName": s.machine.Spec.NodeName}); err != nil {
		return nil, fmt.Errorf("listing the pods of node %s: %w", s.machine.Spec.NodeName, err)
	}
	return pods.Items, nil
}

// staysBehind says that a pod goes with its node: it has ended, it is the
// kubelet's own, or a DaemonSet would put it back at once.
func staysBehind(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	_, mirror := pod.Annotations[mirrorAnnotation]
	return mirror || owner != nil && owner.Kind == "DaemonSet" ||
		pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// evict asks for the end of a pod and says why that is not possible now, "" if it is.
func evict(ctx context.Context, s *scope, pod *corev1.Pod) (why string, err error) {
	if s.machine.Spec.Drain.IgnoreBudgets {
		return "", client.IgnoreNotFound(s.tenant.Client.Delete(ctx, pod, client.Preconditions{UID: &pod.UID}))
	}
	err = s.tenant.Client.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
	})
	var status apierrors.APIStatus
	switch {
	case err == nil, apierrors.IsNotFound(err):
		return "", nil
	case apierrors.IsTooManyRequests(err) && errors.As(err, &status):
		if details := status.Status().Details; details != nil {
			for _, cause := range details.Causes { // it names the budget
				return cause.Message, nil
			}
		}
		return err.Error(), nil
	case apierrors.IsInternalError(err), apierrors.IsForbidden(err): // two budgets; a namespace that ends
		return err.Error(), nil
	default:
		return "", fmt.Errorf("evicting pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
}

// cordon keeps new pods away from the node, with a mark for one that is left behind.
func (s *scope) cordon(ctx context.Context, mark string) error {
	if s.node.Spec.Unschedulable && s.node.Labels[quarantineLabel] == mark {
		return nil
	}
	changed := s.node.DeepCopy()
	if !changed.Spec.Unschedulable {
		metav1.SetMetaDataAnnotation(&changed.ObjectMeta, drainAnnotation, s.machine.Spec.Drain.OperationID)
	}
	changed.Spec.Unschedulable = true
	if delete(changed.Labels, quarantineLabel); mark != "" {
		metav1.SetMetaDataLabel(&changed.ObjectMeta, quarantineLabel, mark)
	}
	return s.patchNode(ctx, changed)
}

// uncordon takes back what cordon did.
func (s *scope) uncordon(ctx context.Context) error {
	_, ours := s.node.Annotations[drainAnnotation]
	_, marked := s.node.Labels[quarantineLabel]
	if !ours && !marked {
		return nil
	}
	changed := s.node.DeepCopy()
	if ours {
		changed.Spec.Unschedulable = false
	}
	delete(changed.Annotations, drainAnnotation)
	delete(changed.Labels, quarantineLabel)
	return s.patchNode(ctx, changed)
}

func (s *scope) patchNode(ctx context.Context, changed *corev1.Node) error {
	if err := s.tenant.Client.Patch(ctx, changed, client.MergeFrom(s.node)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("changing node %s: %w", changed.Name, err)
	}
	s.node = changed
	return nil
}

// deleteLeftovers deletes the pods of a node whose machine is gone, at once:
// nobody is left who could say that they ended.
func deleteLeftovers(ctx context.Context, s *scope) error {
	pods, err := podsOn(ctx, s)
	if err != nil {
		return err
	}
	var errs []error
	for i := range pods {
		err := s.tenant.Client.Delete(ctx, &pods[i], client.GracePeriodSeconds(0), client.Preconditions{UID: &pods[i].UID})
		if client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("deleting pod %s/%s of node %s: %w", pods[i].Namespace, pods[i].Name, s.machine.Spec.NodeName, err))
		}
	}
	return errors.Join(errs...)
}
