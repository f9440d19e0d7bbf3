// Package certificate approves, or denies, what the tenants' kubelets ask for:
// client and serving certificates of exactly the machine that asks. It leaves
// every other signer's requests alone.
package certificate

import (
	"context"
	"errors"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/management/sieve"
	"berth.dev/berth/internal/tenant"
)

// The reasons that are written into requests.
const (
	reasonApproved = "BerthMachine"
	reasonDenied   = "NotThisMachine"
)

// Tenants finds connected tenants.
type Tenants interface {
	Get(cluster string) (*tenant.Tenant, bool)
}

// Controller decides on the certificate requests of one cluster at a time.
type Controller struct {
	reader  client.Reader
	clock   clock.PassiveClock
	tenants Tenants
}

// NewController makes the controller; reader reads the management API itself: a
// machine that a cache has not seen yet would be denied for ever.
func NewController(reader client.Reader, clock clock.PassiveClock, tenants Tenants) *Controller {
	return &Controller{reader: reader, clock: clock, tenants: tenants}
}

// Register adds the controller to a manager, fed by the tenants' requests.
func (c *Controller) Register(manager ctrl.Manager, tenants *tenant.Registry) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("certificate").
		WatchesRawSource(tenants.Source(tenant.CertificateRequests, clusterOf)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 8,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

func clusterOf(_ context.Context, event tenant.Event) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: event.Cluster}}}
}

// Reconcile decides on every request of a cluster that is still open.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	t, ok := c.tenants.Get(request.Name)
	if !ok {
		return reconcile.Result{}, nil
	}
	filled, err := t.Follow(ctx, tenant.CertificateRequests)
	if err != nil || !filled {
		return reconcile.Result{}, err
	}
	var all certificatesv1.CertificateSigningRequestList
	if err := t.Reader.List(ctx, &all); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing certificate requests: %w", err)
	}
	var open []certificatesv1.CertificateSigningRequest
	for _, r := range all.Items {
		if isOpen(&r) {
			open = append(open, r)
		}
	}
	if len(open) == 0 {
		return reconcile.Result{}, nil
	}
	machines, err := c.machines(ctx, request.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	var errs []error
	for i := range open {
		errs = append(errs, c.answer(ctx, t, &open[i], decide(&open[i], machines)))
	}
	return reconcile.Result{}, errors.Join(errs...)
}

// isOpen says that a request is for a kubelet and nobody has decided on it.
func isOpen(request *certificatesv1.CertificateSigningRequest) bool {
	switch request.Spec.SignerName {
	case certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeletServingSignerName:
	default:
		return false
	}
	for _, c := range request.Status.Conditions {
		if c.Type == certificatesv1.CertificateApproved || c.Type == certificatesv1.CertificateDenied {
			return false
		}
	}
	return true
}

// machines are those of a cluster.
func (c *Controller) machines(ctx context.Context, cluster string) ([]v1alpha1.Machine, error) {
	var all v1alpha1.MachineList
	if err := c.reader.List(ctx, &all, sieve.Mentioning(cluster)); err != nil {
		return nil, fmt.Errorf("listing machines: %w", err)
	}
	var machines []v1alpha1.Machine
	for _, machine := range all.Items {
		if machine.Spec.ClusterName == cluster {
			machines = append(machines, machine)
		}
	}
	return machines, nil
}

// answer writes the decision into the request.
func (c *Controller) answer(ctx context.Context, t *tenant.Tenant, request *certificatesv1.CertificateSigningRequest, refusal error) error {
	now := metav1.NewTime(c.clock.Now())
	decision := certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: reasonApproved,
		Message:        "the request is what this machine's node may ask for",
		LastUpdateTime: now, LastTransitionTime: now,
	}
	if refusal != nil {
		decision.Type, decision.Reason, decision.Message = certificatesv1.CertificateDenied, reasonDenied, refusal.Error()
	}
	answered := request.DeepCopy()
	answered.Status.Conditions = append(answered.Status.Conditions, decision)
	err := t.Client.SubResource("approval").Update(ctx, answered)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // gone, or decided meanwhile: its event is on the way
	}
	if err != nil {
		return fmt.Errorf("answering certificate request %s: %w", request.Name, err)
	}
	return nil
}
