package managedidentity

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	managedidentityv1alpha1 "berth.dev/berth/api/managedidentity/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/resources"
)

// Properties is the table of an identity's properties.
func Properties() []arm.Property {
	readOnly := func(path string) arm.Property {
		return arm.Property{Path: path, Kind: arm.Any, Use: arm.ReadOnly}
	}
	return []arm.Property{
		readOnly("id"), readOnly("name"), readOnly("type"), readOnly("systemData"),
		{Path: "location", Kind: arm.String}, {Path: "tags", Kind: arm.Map}, {Path: "tags{}", Kind: arm.String},
		{Path: "properties", Kind: arm.Object}, readOnly("properties.tenantId"), readOnly("properties.principalId"), readOnly("properties.clientId"),
		{Path: "properties.isolationScope", Kind: arm.String, Use: arm.Refused, Neutral: []any{"None"}, Note: "there is one region, so nothing to keep apart"},
		{Path: "properties.assignmentRestrictions", Kind: arm.Any, Use: arm.Refused, Note: "restrictions of who may be given an identity are not built"},
	}
}

type request struct {
	Location string            `json:"location"`
	Tags     map[string]string `json:"tags"`
}

// read decodes and checks a body.
func (p *Provider) read(r *arm.Request, fresh bool) (request, *arm.Body, error) {
	var sent request
	schema, err := arm.NewSchema(Properties())
	if err != nil {
		return sent, nil, err
	}
	fields := &arm.FieldErrors{}
	content, err := schema.Read(r.Body, fields)
	if err != nil {
		return sent, nil, err
	}
	if fields.Malformed() {
		return sent, nil, fields.Err()
	}
	if err := content.Decode(&sent); err != nil {
		return sent, nil, err
	}
	resources.CheckTags(sent.Tags, content.Path("tags"), fields)
	if name := r.Param("resourceName"); fresh && !regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_]{2,127}$`).MatchString(name) {
		fields.Invalid("resourceName", "The name '%.130s' is invalid: an identity's name has 3 to 128 letters, digits, dashes and underscores, and begins with a letter or digit.", name)
	}
	switch {
	case sent.Location == "" && fresh:
		fields.Add("LocationRequired", content.Path("location"), "The location property is required for this definition.")
	case sent.Location != "" && !resources.SameLocation(sent.Location, p.Location):
		fields.Add("LocationNotAvailableForResourceType", content.Path("location"),
			"The provided location '%.100s' is not available for resource type '%s/%s'. List of available regions for the resource type is '%s'.", sent.Location, Namespace, Type, p.Location)
	}
	return sent, content, fields.Err()
}

// put makes an identity, or replaces its tags.
func (p *Provider) put(w http.ResponseWriter, r *arm.Request) error {
	sent, _, err := p.read(r, true)
	if err != nil {
		return err
	}
	return resources.RetryConflicts(func() error {
		if _, err := resources.WritableGroup(r.Context(), p.Client, r.Param("subscriptionID"), r.Param("resourceGroup")); err != nil {
			return err
		}
		identity, err := Find(r.Context(), p.Client, requestID(r))
		switch {
		case err != nil:
			return err
		case identity == nil:
			return p.create(w, r, sent)
		case identity.DeletionTimestamp != nil:
			return arm.NewError(http.StatusConflict, "Conflict", "The identity of that name is just being deleted. Repeat the request in a second.").With("Retry-After", "1")
		}
		return p.retag(w, r, identity, sent.Tags)
	})
}

// create makes an identity with principal and client id of its own, in one write.
func (p *Provider) create(w http.ResponseWriter, r *arm.Request, sent request) error {
	subscriptionID := strings.ToLower(r.Param("subscriptionID"))
	identity := &managedidentityv1alpha1.UserAssignedIdentity{
		ObjectMeta: metav1.ObjectMeta{
			Name: naming.Object(requestID(r).String()), Finalizers: []string{managedidentityv1alpha1.UserAssignedIdentityFinalizer},
			Labels: map[string]string{
				resources.SubscriptionLabel: subscriptionID,
				groupLabel:                  naming.Object(resources.GroupID(subscriptionID, r.Param("resourceGroup")).String()),
			},
		},
		Spec: managedidentityv1alpha1.UserAssignedIdentitySpec{
			SubscriptionID: subscriptionID, ResourceGroup: r.Param("resourceGroup"), Name: r.Param("resourceName"),
			Location: p.Location, Tags: sent.Tags, TenantID: p.TenantID, PrincipalID: uuid.NewString(), ClientID: uuid.NewString(),
		},
	}
	if err := p.Client.Create(r.Context(), identity); err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusCreated, body(identity))
}

func (p *Provider) retag(w http.ResponseWriter, r *arm.Request, identity *managedidentityv1alpha1.UserAssignedIdentity, tags map[string]string) error {
	identity.Spec.Tags = tags
	if err := p.Client.Update(r.Context(), identity); err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, body(identity))
}

// patch replaces the tags.
func (p *Provider) patch(w http.ResponseWriter, r *arm.Request) error {
	sent, content, err := p.read(r, false)
	if err != nil {
		return err
	}
	return resources.RetryConflicts(func() error {
		identity, err := p.existing(r)
		if err != nil {
			return err
		}
		if !content.Has("tags") {
			sent.Tags = identity.Spec.Tags
		}
		return p.retag(w, r, identity, sent.Tags)
	})
}

// delete deletes an identity. From then on it is not found; its controller
// takes its roles away and lets it go.
func (p *Provider) delete(w http.ResponseWriter, r *arm.Request) error {
	identity, err := Find(r.Context(), p.Client, requestID(r))
	if err != nil {
		return err
	}
	if identity == nil || identity.DeletionTimestamp != nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := p.unused(r.Context(), identity); err != nil {
		return err
	}
	err = p.Client.Delete(r.Context(), identity, client.Preconditions{UID: &identity.UID})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) { // gone, and perhaps made anew by others
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
