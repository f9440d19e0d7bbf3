package principal

import (
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// read decodes a body against a table of properties.
func read(raw []byte, into any, table ...arm.Property) error {
	schema, err := arm.NewSchema(table)
	if err != nil {
		return err
	}
	fields := &arm.FieldErrors{}
	content, err := schema.Read(raw, fields)
	if err != nil {
		return err
	}
	if err := fields.Err(); err != nil {
		return err
	}
	return content.Decode(into)
}

// text is a property that is a string.
func text(path string) arm.Property { return arm.Property{Path: path, Kind: arm.String} }

// put makes a service principal, without credentials, or renames it.
func (p *Provider) put(w http.ResponseWriter, r *arm.Request) error {
	var request struct {
		Properties struct {
			DisplayName string `json:"displayName"`
		} `json:"properties"`
	}
	readOnly := func(path string) arm.Property {
		return arm.Property{Path: path, Kind: arm.Any, Use: arm.ReadOnly}
	}
	err := read(r.Body, &request, arm.Property{Path: "properties", Kind: arm.Object}, text("properties.displayName"),
		readOnly("id"), readOnly("name"), readOnly("type"), readOnly("properties.appId"), readOnly("properties.objectId"), readOnly("properties.tenantId"),
		readOnly("properties.createdDateTime"), readOnly("properties.passwordCredentials"), readOnly("properties.keyCredentials"))
	if err != nil {
		return err
	}
	name := strings.TrimSpace(request.Properties.DisplayName)
	if name == "" || len(name) > 256 {
		return arm.NewError(http.StatusBadRequest, arm.CodeInvalidParameter, "A service principal needs a displayName of at most 256 characters.").At("properties.displayName")
	}
	changed, err := p.change(r, func(s *authorizationv1alpha1.ServicePrincipal) error {
		s.Spec.DisplayName = name
		return nil
	})
	if err == nil {
		return arm.WriteJSON(w, http.StatusOK, body(changed))
	}
	if !missing(err) {
		return err
	}
	fresh := &authorizationv1alpha1.ServicePrincipal{
		ObjectMeta: metav1.ObjectMeta{Name: strings.ToLower(r.Param("appID"))},
		Spec:       authorizationv1alpha1.ServicePrincipalSpec{TenantID: p.Tokens.TenantID(), ObjectID: uuid.NewString(), DisplayName: name},
	}
	if err := p.Client.Create(r.Context(), fresh); err != nil {
		if apierrors.IsAlreadyExists(err) {
			return arm.NewError(http.StatusConflict, "Conflict", "The service principal was made by others at the same time. Repeat the request.")
		}
		return err
	}
	return arm.WriteJSON(w, http.StatusCreated, body(fresh))
}

// missing says that the principal of the path is not there.
func missing(err error) bool {
	var answer *arm.Error
	return errors.As(err, &answer) && answer.Status == http.StatusNotFound
}

// delete deletes a principal and takes its roles away. Tokens that it has
// allow nothing from then on, because they name nobody who has a role.
func (p *Provider) delete(w http.ResponseWriter, r *arm.Request) error {
	found, err := p.find(r)
	if missing(err) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err != nil {
		return err
	}
	if found.Spec.ObjectID == r.Principal.ObjectID {
		return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed, "A service principal cannot delete itself.")
	}
	// The roles go first: a delete that is cut off leaves a principal that may do
	// less, and is found again.
	if err := p.dropAssignments(r.Context(), found.Spec.ObjectID); err != nil {
		return err
	}
	if err := client.IgnoreNotFound(p.Client.Delete(r.Context(), found)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// rotateSigningKey makes a new key sign tokens.
func (p *Provider) rotateSigningKey(w http.ResponseWriter, r *arm.Request) error {
	var request struct {
		Revoke bool `json:"revoke"`
	}
	if err := r.ReadBody(w); err != nil {
		return err
	}
	if len(r.Body) > 0 {
		if err := read(r.Body, &request, arm.Property{Path: "revoke", Kind: arm.Boolean}); err != nil {
			return err
		}
	}
	id, err := p.Tokens.RotateSigningKey(r.Context(), request.Revoke)
	if apierrors.IsConflict(err) {
		return arm.NewError(http.StatusConflict, "Conflict", "Another front end rotated the key at the same time.")
	}
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, object{"keyId": id, "revoked": request.Revoke})
}
