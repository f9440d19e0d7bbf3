package command

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/command"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/tenant"
)

const (
	commandID = "0123456789abcdef0123456789abcdef"
	podName   = "command-" + commandID
)

var errKilled = errors.New("killed")

// world is a management API and one cluster, with a kubelet that does what a test says.
type world struct {
	t             *testing.T
	api, inside   client.Client
	clock         *testingclock.FakePassiveClock
	controller    *Controller
	connected     bool
	output        string
	logs          error
	budget, wrote int // writes until the controller is killed; negative: never
	pods          int // how many were made
}

func (w *world) Get(string) (*tenant.Tenant, bool) {
	return &tenant.Tenant{
		Cluster: "demo", Incarnation: "abcdefghij", Client: w.inside,
		Logs: func(context.Context, string, string, string, int64) ([]byte, error) { return []byte(w.output), w.logs },
	}, w.connected
}

func (w *world) Lookup(string) (release.Artifacts, bool) {
	return release.Artifacts{Images: map[string]string{"client": "client:v1"}}, true
}

// spend is one write; out of budget it does not happen.
func (w *world) spend(write func() error) error {
	if w.budget == 0 {
		return errKilled
	}
	w.budget--
	w.wrote++
	return write()
}

func (w *world) counted() interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return w.spend(func() error {
				err := c.Create(ctx, o, opts...)
				if _, isPod := o.(*corev1.Pod); isPod && err == nil {
					w.pods++
				}
				return err
			})
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return w.spend(func() error { return c.Update(ctx, o, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return w.spend(func() error { return c.Delete(ctx, o, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			return w.spend(func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
		},
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	w := &world{t: t, clock: testingclock.NewFakePassiveClock(now), connected: true, output: "hello\n", budget: -1}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	authority, err := pki.NewAuthority("user", now)
	if err != nil {
		t.Fatal(err)
	}
	key, err := authority.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	w.api = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.ClusterCommand{}).WithInterceptorFuncs(w.counted()).WithObjects(
		&v1alpha1.ManagedCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo"}, Spec: v1alpha1.ManagedClusterSpec{
			Name: "demo", Incarnation: "abcdefghij", KubernetesVersion: "1.35.4", Network: v1alpha1.NetworkProfile{ServiceCIDR: "10.0.0.0/16"},
		}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: naming.SystemNamespace, Name: naming.Credentials("abcdefghij")}, Data: map[string][]byte{
			pki.UserCACert: authority.CertificatePEM(), pki.UserCAKey: key, pki.ClusterCACert: authority.CertificatePEM(),
		}},
		&v1alpha1.ClusterCommand{
			ObjectMeta: metav1.ObjectMeta{Name: commandID, Labels: map[string]string{v1alpha1.CommandClusterLabel: "demo"}},
			Spec: v1alpha1.ClusterCommandSpec{
				ClusterName: "demo", Incarnation: "abcdefghij", Caller: "someone", Payload: &v1alpha1.CommandPayload{Command: "kubectl get ns"},
				StartTime: metav1.NewTime(now), Deadline: metav1.NewTime(now.Add(command.Timeout)),
			},
		},
	).Build()
	w.inside = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&corev1.Pod{}).WithInterceptorFuncs(w.counted()).Build()
	w.controller = NewController(Config{Client: w.api, Reader: w.api, Clock: w.clock, Tenants: w, Releases: w})
	return w
}

func (w *world) reconcile() error {
	_, err := w.controller.Reconcile(w.t.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Name: commandID}})
	return err
}

func (w *world) must() {
	w.t.Helper()
	if err := w.reconcile(); err != nil {
		w.t.Fatal(err)
	}
}

// command is the command as it is stored, nil if it is gone.
func (w *world) command() *v1alpha1.ClusterCommand {
	w.t.Helper()
	var found v1alpha1.ClusterCommand
	err := w.api.Get(w.t.Context(), client.ObjectKey{Name: commandID}, &found)
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return &found
}

func (w *world) pod() *corev1.Pod {
	w.t.Helper()
	var found corev1.Pod
	err := w.inside.Get(w.t.Context(), client.ObjectKey{Namespace: tenant.CommandNamespace, Name: podName}, &found)
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return &found
}

// kubelet sets the pod's status if there is a pod.
func (w *world) kubelet(phase corev1.PodPhase, reason string, state corev1.ContainerState) {
	w.t.Helper()
	pod := w.pod()
	if pod == nil {
		return
	}
	pod.Status = corev1.PodStatus{Phase: phase, Reason: reason, ContainerStatuses: []corev1.ContainerStatus{{Name: containerName, State: state}}}
	if err := w.inside.Status().Update(w.t.Context(), pod); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) exit(code int32) {
	at := metav1.NewTime(w.clock.Now())
	w.kubelet(corev1.PodFailed, "", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, StartedAt: at, FinishedAt: at}})
}

// ended checks how the command ended and that nothing of it is left in the cluster.
func (w *world) ended(exitCode int32, reason, output string) {
	w.t.Helper()
	found := w.command()
	printed, err := command.UnpackOutput(found.Status.Output)
	if err != nil || printed != output {
		w.t.Errorf("the output is %q, %v", printed, err)
	}
	if code := found.Status.ExitCode; exitCode < 0 != (code == nil) || code != nil && *code != exitCode {
		w.t.Errorf("the exit code is %v, want %d", code, exitCode)
	}
	if !strings.HasPrefix(found.Status.Reason, reason) || reason == "" && found.Status.Reason != "" {
		w.t.Errorf("the reason is %q, want %q", found.Status.Reason, reason)
	}
	if found.Spec.Payload != nil {
		w.t.Error("the payload is still there")
	}
	if found.Status.Phase != v1alpha1.CommandRemoved {
		w.t.Errorf("the phase is %s", found.Status.Phase)
	}
	var secrets corev1.SecretList
	if err := w.inside.List(w.t.Context(), &secrets); err != nil || len(secrets.Items) > 0 || w.pod() != nil {
		w.t.Errorf("%d secrets and the pod %v are left, %v", len(secrets.Items), w.pod(), err)
	}
}

func TestACommandRunsAndItsResultOutlivesItsPod(t *testing.T) {
	w := newWorld(t)
	w.must()
	pod := w.pod()
	if pod == nil || *pod.Spec.ActiveDeadlineSeconds != int64(command.Timeout.Seconds()) || *pod.Spec.AutomountServiceAccountToken {
		t.Fatalf("the pod is %+v", pod)
	}
	w.kubelet(corev1.PodRunning, "", corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	w.must()
	if found := w.command(); found.Spec.Payload != nil || !strings.HasPrefix(found.Status.Message, "running on node") {
		t.Errorf("while it runs: %+v", found)
	}
	w.exit(3)
	w.must()
	w.ended(3, "", "hello\n")
	w.clock.SetTime(w.clock.Now().Add(command.Retention))
	w.must()
	if w.command() != nil {
		t.Error("the result never expires")
	}
}

// TestAKillAfterAnyWriteHealsAndRunsTheCommandOnce kills the controller after
// each of its writes in turn, starts it anew, and looks at the end.
func TestAKillAfterAnyWriteHealsAndRunsTheCommandOnce(t *testing.T) {
	whole := newWorld(t)
	for range 3 {
		whole.must()
		whole.exit(0)
	}
	if whole.ended(0, "", "hello\n"); whole.wrote < 8 {
		t.Fatalf("a whole run has %d writes", whole.wrote)
	}
	for kill := range whole.wrote {
		w := newWorld(t)
		w.budget = kill
		for range 3 {
			if err := w.reconcile(); err != nil && !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			budget := w.budget
			w.budget = -1
			w.exit(0)
			if w.budget = budget; w.wrote >= kill {
				w.budget = -1 // started anew
			}
		}
		for range 3 {
			w.must()
			w.exit(0)
		}
		if w.ended(0, "", "hello\n"); w.pods != 1 {
			t.Errorf("killed after %d writes: %d pods were made", kill, w.pods)
		}
	}
}

func TestACommandThatCannotEndByItselfEndsWithTheReason(t *testing.T) {
	for name, c := range map[string]struct {
		play   func(w *world)
		reason string
		output string
	}{
		"its pod is deleted": {func(w *world) {
			w.must()
			w.must()
			if err := w.inside.Delete(t.Context(), w.pod()); err != nil {
				t.Fatal(err)
			}
			w.pods = 0
		}, "PodDeleted: ", ""},
		"its deadline passes": {func(w *world) {
			w.must()
			w.kubelet(corev1.PodFailed, "DeadlineExceeded", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137}})
		}, "DeadlineExceeded: ", "hello\n"},
		"its node never ends it": {func(w *world) {
			w.must()
			w.kubelet(corev1.PodRunning, "", corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
			w.clock.SetTime(w.clock.Now().Add(command.Timeout + grace))
		}, "DeadlineExceeded: ", ""},
		"no node takes it": {func(w *world) {
			w.must()
			w.clock.SetTime(w.clock.Now().Add(startTimeout))
		}, "CommandNotStarted: the pod is being started", ""},
		"the service was away too long": {func(w *world) { w.clock.SetTime(w.clock.Now().Add(startTimeout)) }, "CommandNotStarted: ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.play(w)
			w.must()
			w.ended(-1, c.reason, c.output)
			made := w.pods
			w.must()
			if w.pods != made || w.pod() != nil {
				t.Error("it runs again")
			}
		})
	}
}

func TestACommandWaitsForItsClusterAndGivesUp(t *testing.T) {
	w := newWorld(t)
	w.connected = false
	w.must()
	if found := w.command(); found.Finished() || !strings.Contains(found.Status.Message, "does not answer") {
		t.Fatalf("the status is %+v", found.Status)
	}
	w.clock.SetTime(w.clock.Now().Add(startTimeout))
	w.must()
	if found := w.command(); !strings.HasPrefix(found.Status.Reason, "ClusterUnreachable: ") || found.Status.Phase != v1alpha1.CommandEnded {
		t.Fatalf("the status is %+v", found.Status)
	}
	w.connected = true // what may be there is removed once it can be
	w.must()
	w.ended(-1, "ClusterUnreachable: ", "")
}

func TestOutputThatCannotBeReadIsGivenUpButTheExitCodeIsKept(t *testing.T) {
	w := newWorld(t)
	w.logs = errors.New("no route to the node")
	w.must()
	w.exit(0)
	if err := w.reconcile(); err == nil || w.command().Finished() {
		t.Fatalf("it ended without its output, or does not try again: %v", err)
	}
	w.clock.SetTime(w.clock.Now().Add(grace))
	w.must()
	w.ended(0, "", "[the output could not be read: no route to the node]\n")
}

func TestACommandGoesWithItsCluster(t *testing.T) {
	w := newWorld(t)
	w.must()
	if err := w.api.Delete(t.Context(), &v1alpha1.ManagedCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo"}}); err != nil {
		t.Fatal(err)
	}
	w.must()
	if w.command() != nil {
		t.Error("it is still there")
	}
}

func TestOnlyTheNewestResultsOfAClusterAreKept(t *testing.T) {
	w := newWorld(t)
	w.must()
	w.exit(0)
	w.must()
	for i := range command.MaxKept {
		later := metav1.NewTime(w.clock.Now().Add(time.Minute))
		other := &v1alpha1.ClusterCommand{
			ObjectMeta: metav1.ObjectMeta{Name: commandID[:30] + string(rune('g'+i/10)) + string(rune('0'+i%10)), Labels: map[string]string{v1alpha1.CommandClusterLabel: "demo"}},
			Spec:       v1alpha1.ClusterCommandSpec{ClusterName: "demo", Incarnation: "abcdefghij"},
			Status:     v1alpha1.ClusterCommandStatus{Phase: v1alpha1.CommandRemoved, EndTime: &later},
		}
		if w.command() == nil {
			t.Fatalf("it is gone with %d newer ones", i)
		}
		status := other.Status
		if err := w.api.Create(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		other.Status = status
		if err := w.api.Status().Update(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		w.must()
	}
	if w.command() != nil {
		t.Error("it is kept beside as many newer ones as are kept")
	}
}
