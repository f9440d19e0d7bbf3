package identity

import (
	"net"
	"strings"

	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/pkg/op"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// authenticateClient finds the service principal and checks what it presents.
func (s *Service) authenticateClient(r *arm.Request, form *op.ClientCredentials) (*authorizationv1alpha1.ServicePrincipal, *oauthError, error) {
	clientID, err := uuid.Parse(form.ClientID)
	unknown := unknownApplication(form.ClientID, s.options.TenantID)
	if err != nil {
		return nil, &unknown, nil
	}
	caller := clientID.String() + " " + address(r)
	if wait := s.backoff.wait(caller); wait > 0 {
		failure := tooManyAttempts(clientID.String(), wait)
		return nil, &failure, nil
	}
	var principal authorizationv1alpha1.ServicePrincipal
	err = s.options.Client.Get(r.Context(), client.ObjectKey{Name: clientID.String()}, &principal)
	if apierrors.IsNotFound(err) || err == nil && !strings.EqualFold(principal.Spec.TenantID, s.options.TenantID) {
		return nil, &unknown, nil
	}
	if err != nil {
		return nil, nil, err
	}
	var failure *oauthError
	if form.ClientAssertion != "" {
		failure = s.checkAssertion(r, form.ClientAssertion, &principal)
	} else {
		failure = s.checkSecret(form.ClientSecret, &principal)
	}
	if failure != nil {
		s.backoff.failed(caller)
		return nil, failure, nil
	}
	s.backoff.succeeded(caller)
	return &principal, nil, nil
}

// address is the caller's network address without its port.
func address(r *arm.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// checkSecret is nil if a secret is one of the principal's and has not expired.
func (s *Service) checkSecret(secret string, principal *authorizationv1alpha1.ServicePrincipal) *oauthError {
	failure := invalidSecret(principal.Name)
	for _, password := range principal.Spec.Passwords {
		if !secretMatches(s.secretKey, password.Hash, secret) {
			continue
		}
		if password.EndDateTime != nil && !password.EndDateTime.After(s.options.Now()) {
			failure = expiredSecret(principal.Name)
			continue
		}
		return nil
	}
	return &failure
}
