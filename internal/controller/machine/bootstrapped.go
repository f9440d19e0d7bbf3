package machine

import (
	"context"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/tenant"
)

// reasonCertificatesEnded says that the node had certificates, which have ended.
const reasonCertificatesEnded = "CertificatesEnded"

// bootstrapped finds out that the node holds a client and a serving certificate
// of its own, of the authority that its spec names: it asks for the second one in
// its own name, so an issued serving certificate proves both. From then on the
// one-time token is of no use.
type bootstrapped struct{}

func (p *bootstrapped) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if !s.machine.NeedsToken() {
		s.bootstrapped, s.tokenGone = true, true
		return reconcile.Result{}, nil
	}
	if s.machine.Status.CertificatesEnded {
		return reconcile.Result{}, nil
	}
	if s.gotOthers() {
		s.bootstrapped = true
		return reconcile.Result{}, nil
	}
	if s.tenant == nil || s.node == nil {
		return reconcile.Result{}, nil
	}
	filled, err := s.tenant.Follow(ctx, tenant.CertificateRequests)
	if err != nil || !filled {
		return reconcile.Result{}, err
	}
	var requests certificatesv1.CertificateSigningRequestList
	if err := s.tenant.Reader.List(ctx, &requests); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing certificate requests: %w", err)
	}
	for _, request := range requests.Items {
		if request.Spec.SignerName == certificatesv1.KubeletServingSignerName &&
			request.Spec.Username == nodeUserPrefix+s.machine.Spec.NodeName &&
			len(request.Status.Certificate) > 0 && s.ofAuthority(request.Status.Certificate) {
			s.bootstrapped = true
		}
	}
	return reconcile.Result{}, nil
}

// bootstrapOutcome says what the node still needs its one-time token for.
func (s *scope) bootstrapOutcome() condition.Outcome {
	told := apimeta.FindStatusCondition(s.machine.Status.Conditions, v1alpha1.ConditionBootstrapped)
	switch {
	case s.tokenGone:
		return condition.True("the node has certificates of its own")
	case s.machine.Status.CertificatesEnded, told != nil && told.Reason == reasonCertificatesEnded:
		return condition.Outcome{Reason: reasonCertificatesEnded, Message: "the node's certificates have ended: waiting for its kubelet to ask for others"}
	}
	return condition.Waiting("waiting for the node's serving certificate")
}

// gotOthers says that the node's certificates had ended and that its host has seen
// others since: that its authority is another one as well can be, and then these
// are not enough.
func (s *scope) gotOthers() bool {
	told := apimeta.FindStatusCondition(s.machine.Status.Conditions, v1alpha1.ConditionBootstrapped)
	wanted := s.machine.Spec.Credentials
	return told != nil && told.Reason == reasonCertificatesEnded && wanted != nil && wanted.Authority == s.machine.Status.Authority
}

// ofAuthority says whether a certificate is one of the authority that the
// machine's spec names, and remembers which that is.
func (s *scope) ofAuthority(certificate []byte) bool {
	wanted := s.machine.Spec.Credentials
	if wanted == nil {
		return true
	}
	if pki.IssuerID(certificate) != wanted.Authority {
		return false
	}
	s.authority = wanted.Authority
	return true
}
