package principal

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
)

// The lives of secrets.
const (
	defaultLifetime = 365 * 24 * time.Hour
	longestLifetime = 100 * 365 * 24 * time.Hour
)

// credentialRequest is the body of the actions on credentials.
type credentialRequest struct {
	KeyID       string       `json:"keyId"`
	DisplayName string       `json:"displayName"`
	EndDateTime *metav1.Time `json:"endDateTime"`
	Certificate string       `json:"certificate"`
}

func (p *Provider) readCredential(w http.ResponseWriter, r *arm.Request, properties ...arm.Property) (credentialRequest, error) {
	var request credentialRequest
	if err := r.ReadBody(w); err != nil {
		return request, err
	}
	if len(r.Body) == 0 {
		return request, nil
	}
	err := read(r.Body, &request, properties...)
	if err == nil && len(request.DisplayName) > 256 {
		err = invalid("displayName", "The displayName is longer than 256 characters.")
	}
	return request, err
}

func invalid(target, message string) error {
	return arm.NewError(http.StatusBadRequest, arm.CodeInvalidParameter, "%s", message).At(target)
}

// addPassword makes a secret. It is in this answer and nowhere else.
func (p *Provider) addPassword(w http.ResponseWriter, r *arm.Request) error {
	request, err := p.readCredential(w, r, text("displayName"), text("endDateTime"))
	if err != nil {
		return err
	}
	start := metav1.NewTime(p.Now().UTC().Truncate(time.Second))
	end := metav1.NewTime(start.Add(defaultLifetime))
	if request.EndDateTime != nil {
		end = metav1.NewTime(request.EndDateTime.UTC())
	}
	if !end.After(start.Time) || end.After(start.Add(longestLifetime)) {
		return invalid("endDateTime", "The endDateTime has to be in the future, within a hundred years.")
	}
	secret := identity.NewSecret()
	credential := authorizationv1alpha1.PasswordCredential{
		KeyID: uuid.NewString(), Hash: p.Tokens.HashSecret(secret), Hint: secret[:3], DisplayName: request.DisplayName, StartDateTime: &start, EndDateTime: &end,
	}
	_, err = p.change(r, func(s *authorizationv1alpha1.ServicePrincipal) error {
		if len(s.Spec.Passwords) >= maxCredentials {
			return tooMany("secrets")
		}
		s.Spec.Passwords = append(s.Spec.Passwords, credential)
		return nil
	})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store, no-cache")
	return arm.WriteJSON(w, http.StatusOK, object{"keyId": credential.KeyID, "secretText": secret, "hint": credential.Hint,
		"displayName": credential.DisplayName, "startDateTime": moment(&start), "endDateTime": moment(&end)})
}

func tooMany(what string) error {
	return arm.NewError(http.StatusConflict, "CredentialLimitReached", "A service principal has at most %d %s. Remove one first.", maxCredentials, what)
}

func (p *Provider) removePassword(w http.ResponseWriter, r *arm.Request) error {
	request, err := p.readCredential(w, r, text("keyId"))
	if err != nil {
		return err
	}
	return p.remove(w, r, func(s *authorizationv1alpha1.ServicePrincipal) bool {
		before := len(s.Spec.Passwords)
		s.Spec.Passwords = slices.DeleteFunc(s.Spec.Passwords, func(c authorizationv1alpha1.PasswordCredential) bool { return c.KeyID == request.KeyID })
		return len(s.Spec.Passwords) < before
	})
}

// addKey registers a certificate, in PEM or in DER as base64.
func (p *Provider) addKey(w http.ResponseWriter, r *arm.Request) error {
	request, err := p.readCredential(w, r, text("displayName"), text("certificate"))
	if err != nil {
		return err
	}
	certificate, err := parseCertificate(request.Certificate)
	if err != nil {
		return err
	}
	if !certificate.NotAfter.After(p.Now()) {
		return invalid("certificate", "The certificate has expired.")
	}
	credential := authorizationv1alpha1.KeyCredential{
		KeyID: uuid.NewString(), Certificate: certificate.Raw, DisplayName: request.DisplayName,
		StartDateTime: metav1.NewTime(certificate.NotBefore), EndDateTime: metav1.NewTime(certificate.NotAfter),
	}
	_, err = p.change(r, func(s *authorizationv1alpha1.ServicePrincipal) error {
		if len(s.Spec.Keys) >= maxCredentials {
			return tooMany("certificates")
		}
		s.Spec.Keys = append(s.Spec.Keys, credential)
		return nil
	})
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, object{"keyId": credential.KeyID, "displayName": credential.DisplayName,
		"startDateTime": moment(&credential.StartDateTime), "endDateTime": moment(&credential.EndDateTime)})
}

func parseCertificate(content string) (*x509.Certificate, error) {
	der := []byte(nil)
	if block, _ := pem.Decode([]byte(content)); block != nil && block.Type == "CERTIFICATE" {
		der = block.Bytes
	} else if decoded, err := base64.StdEncoding.DecodeString(content); err == nil {
		der = decoded
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, invalid("certificate", "The certificate is neither a PEM block CERTIFICATE nor base64 of a certificate's DER.")
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < 2048 {
		return nil, invalid("certificate", "The certificate's key has to be an RSA key of at least 2048 bits.")
	}
	return certificate, nil
}

func (p *Provider) removeKey(w http.ResponseWriter, r *arm.Request) error {
	request, err := p.readCredential(w, r, text("keyId"))
	if err != nil {
		return err
	}
	return p.remove(w, r, func(s *authorizationv1alpha1.ServicePrincipal) bool {
		before := len(s.Spec.Keys)
		s.Spec.Keys = slices.DeleteFunc(s.Spec.Keys, func(c authorizationv1alpha1.KeyCredential) bool { return c.KeyID == request.KeyID })
		return len(s.Spec.Keys) < before
	})
}

func (p *Provider) remove(w http.ResponseWriter, r *arm.Request, drop func(*authorizationv1alpha1.ServicePrincipal) bool) error {
	_, err := p.change(r, func(s *authorizationv1alpha1.ServicePrincipal) error {
		if !drop(s) {
			return arm.NewError(http.StatusNotFound, "CredentialNotFound", "The service principal has no credential of that keyId.").At("keyId")
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
