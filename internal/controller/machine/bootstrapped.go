package machine

import (
	"context"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/tenant"
)

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
