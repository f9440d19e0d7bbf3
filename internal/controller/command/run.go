package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/command"
	"berth.dev/berth/internal/tenant"
)

// outcome is how a command ended. Without a state it never ended by itself.
type outcome struct {
	state  *corev1.ContainerStateTerminated
	output []byte
	reason string
}

// run makes the pod, or looks at it.
func (c *Controller) run(ctx context.Context, s *scope) (reconcile.Result, error) {
	var pod corev1.Pod
	err := s.tenant.Client.Get(ctx, client.ObjectKey{Namespace: tenant.CommandNamespace, Name: nameOf(s.command)}, &pod)
	switch {
	case apierrors.IsNotFound(err) && s.command.Status.PodUID != "":
		return c.end(ctx, s, outcome{reason: "PodDeleted: the pod of the command was deleted before the command ended."})
	case apierrors.IsNotFound(err):
		return c.create(ctx, s)
	case err != nil:
		return c.failed(ctx, s, fmt.Errorf("reading the pod: %w", err))
	}
	if s.command.Status.PodUID == "" {
		s.command.Status.PodUID = string(pod.UID)
		if err := c.writeStatus(ctx, s); err != nil {
			return reconcile.Result{}, err
		}
	}
	if err := c.forget(ctx, s); err != nil {
		return reconcile.Result{}, err
	}
	return c.look(ctx, s, &pod)
}

// forget drops the payload once the pod has it: it may hold secrets, and an
// object has no room for it and the output.
func (c *Controller) forget(ctx context.Context, s *scope) error {
	if s.command.Spec.Payload == nil {
		return nil
	}
	s.command.Spec.Payload = nil
	if err := c.Client.Update(ctx, s.command); err != nil {
		return fmt.Errorf("dropping the payload of the command %s: %w", s.command.Name, err)
	}
	return nil
}

// create makes what the command needs in the cluster, the pod last.
func (c *Controller) create(ctx context.Context, s *scope) (reconcile.Result, error) {
	if s.command.Spec.Payload == nil {
		return c.end(ctx, s, outcome{reason: "PodDeleted: the pod of the command was deleted before the command ended."})
	}
	if !s.now.Before(s.command.Spec.StartTime.Add(startTimeout)) {
		return c.end(ctx, s, outcome{reason: "CommandNotStarted: the service could not start it within " + startTimeout.String() + "."})
	}
	objects, err := c.objects(ctx, s)
	if err != nil {
		return c.failed(ctx, s, err)
	}
	for _, object := range objects {
		if err := s.tenant.Client.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
			return c.failed(ctx, s, fmt.Errorf("making the %T %s in the cluster: %w", object, object.GetName(), err))
		}
	}
	return reconcile.Result{RequeueAfter: startTimeout}, c.wait(ctx, s, "waiting for a node") // the pod's events come sooner
}

// failed repeats an attempt until commands may not wait any longer.
func (c *Controller) failed(ctx context.Context, s *scope, err error) (reconcile.Result, error) {
	if s.now.Before(s.command.Spec.StartTime.Add(startTimeout)) {
		return reconcile.Result{}, err
	}
	return c.end(ctx, s, outcome{reason: "CommandNotStarted: " + err.Error() + "."})
}

// look decides from the pod whether the command has ended.
func (c *Controller) look(ctx context.Context, s *scope, pod *corev1.Pod) (reconcile.Result, error) {
	state := containerState(pod)
	over := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	cutOff := pod.Status.Reason != "" // by the kubelet: the deadline, or a node without room
	switch {
	case state.Terminated != nil && !cutOff:
		return c.collect(ctx, s, outcome{state: state.Terminated}, state.Terminated.FinishedAt.Time)
	case over:
		reason := cmp.Or(pod.Status.Reason, "PodFailed") + ": " + cmp.Or(pod.Status.Message, "the node ended the pod of the command")
		return c.collect(ctx, s, outcome{reason: reason}, s.command.Spec.Deadline.Time)
	case !s.now.Before(s.command.Spec.Deadline.Add(grace)):
		return c.end(ctx, s, outcome{reason: "DeadlineExceeded: the node of the command did not end it at its deadline."})
	case state.Running != nil:
		left := s.command.Spec.Deadline.Add(grace).Sub(s.now)
		return reconcile.Result{RequeueAfter: left}, c.wait(ctx, s, "running on node "+pod.Spec.NodeName)
	}
	why := waitsFor(pod, state)
	left := s.command.Spec.StartTime.Add(startTimeout).Sub(s.now)
	if left <= 0 {
		return c.end(ctx, s, outcome{reason: "CommandNotStarted: " + why + "."})
	}
	return reconcile.Result{RequeueAfter: left}, c.wait(ctx, s, "waiting: "+why)
}

func containerState(pod *corev1.Pod) corev1.ContainerState {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == containerName {
			return status.State
		}
	}
	return corev1.ContainerState{}
}

// waitsFor says why a pod does not run yet.
func waitsFor(pod *corev1.Pod, state corev1.ContainerState) string {
	if state.Waiting != nil && state.Waiting.Message != "" {
		return state.Waiting.Reason + " (" + state.Waiting.Message + ")"
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status != corev1.ConditionTrue && condition.Message != "" {
			return "no node takes the pod (" + condition.Message + ")"
		}
	}
	return "the pod is being started"
}

// collect reads the output of a command that has ended, and ends it. An output
// that cannot be read is given up some time after since.
func (c *Controller) collect(ctx context.Context, s *scope, o outcome, since time.Time) (reconcile.Result, error) {
	if s.tenant.Logs == nil {
		return reconcile.Result{}, errors.New("the connection to the cluster reads no logs")
	}
	output, err := s.tenant.Logs(ctx, tenant.CommandNamespace, nameOf(s.command), containerName, command.MaxOutput+1)
	switch {
	case err == nil:
		o.output = output
	case s.now.Before(since.Add(grace)):
		return reconcile.Result{}, err
	default:
		o.output = []byte("[the output could not be read: " + err.Error() + "]\n")
	}
	return c.end(ctx, s, o)
}

// end stores the result; what is in the cluster is removed after that.
func (c *Controller) end(ctx context.Context, s *scope, o outcome) (reconcile.Result, error) {
	if err := c.forget(ctx, s); err != nil {
		return reconcile.Result{}, err
	}
	packed, err := command.PackOutput(o.output)
	if err != nil {
		return reconcile.Result{}, err
	}
	now := metav1.NewTime(s.now)
	status := &s.command.Status
	status.Phase, status.Output, status.Reason, status.Message, status.EndTime = v1alpha1.CommandEnded, packed, o.reason, "", &now
	if o.state != nil {
		started, finished := o.state.StartedAt, o.state.FinishedAt
		status.StartedAt, status.FinishedAt, status.ExitCode = &started, &finished, &o.state.ExitCode
		if o.state.Reason == "OOMKilled" {
			status.Reason = "OOMKilled: the command took more than " + memoryLimit + " of memory."
		}
	}
	if err := c.writeStatus(ctx, s); err != nil {
		return reconcile.Result{}, err
	}
	if s.tenant == nil {
		return reconcile.Result{RequeueAfter: reconnect}, nil
	}
	return c.clean(ctx, s)
}

// clean removes what was made in the cluster.
func (c *Controller) clean(ctx context.Context, s *scope) (reconcile.Result, error) {
	meta := metav1.ObjectMeta{Namespace: tenant.CommandNamespace, Name: nameOf(s.command)}
	for _, object := range []client.Object{&corev1.Pod{ObjectMeta: meta}, &corev1.Secret{ObjectMeta: meta}} {
		if err := s.tenant.Client.Delete(ctx, object, client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, fmt.Errorf("removing the %T of the command %s: %w", object, s.command.Name, err)
		}
	}
	s.command.Status.Phase = v1alpha1.CommandRemoved
	if err := c.writeStatus(ctx, s); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: command.Retention}, nil
}
