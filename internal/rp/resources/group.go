package resources

import (
	"net/http"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
)

// SubscriptionLabel is on every object that lies in a subscription, so that a
// list reads no others.
const SubscriptionLabel = resourcesv1alpha1.SubscriptionLabel

type groupProperties struct {
	ProvisioningState string `json:"provisioningState"`
}

// groupBody is a resource group on the wire.
type groupBody struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Location   string            `json:"location"`
	Tags       map[string]string `json:"tags,omitempty"`
	ManagedBy  string            `json:"managedBy,omitempty"`
	Properties groupProperties   `json:"properties"`
}

func newGroupBody(g *resourcesv1alpha1.ResourceGroup) groupBody {
	id := GroupID(g.Spec.SubscriptionID, g.Spec.Name)
	body := groupBody{
		ID: id.String(), Name: g.Spec.Name, Type: id.Type(), Location: g.Spec.Location, Tags: g.Spec.Tags, ManagedBy: g.Spec.ManagedBy,
		Properties: groupProperties{ProvisioningState: "Succeeded"},
	}
	if g.DeletionTimestamp != nil {
		body.Properties.ProvisioningState = "Deleting"
	}
	return body
}

func (p *Provider) group(r *arm.Request) (*resourcesv1alpha1.ResourceGroup, error) {
	return Group(r.Context(), p.Client, r.Param("subscriptionID"), r.Param("resourceGroup"))
}

func (p *Provider) headGroup(w http.ResponseWriter, r *arm.Request) error {
	if _, err := p.group(r); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (p *Provider) getGroup(w http.ResponseWriter, r *arm.Request) error {
	group, err := p.group(r)
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, newGroupBody(group))
}

// parseTagFilter is the filter that tools send: tagName eq 'a' and tagValue eq 'b'.
func parseTagFilter(r *arm.Request) (name, value string, err error) {
	terms, err := r.Filter()
	if err != nil {
		return "", "", err
	}
	for _, term := range terms {
		switch {
		case term.Is("tagName", false):
			name = term.Value
		case term.Is("tagValue", false):
			value = term.Value
		default:
			return "", "", arm.UnsupportedFilter(term, "tagName eq 'name' and tagValue eq 'value'")
		}
	}
	return name, value, nil
}

// listGroups answers with the groups that the caller may read.
func (p *Provider) listGroups(w http.ResponseWriter, r *arm.Request) error {
	name, value, err := parseTagFilter(r)
	if err != nil {
		return err
	}
	access, err := p.Tokens.Access(r.Context(), r.Principal)
	if err != nil {
		return err
	}
	subscriptionID := strings.ToLower(r.Param("subscriptionID"))
	if !access.Sees("/subscriptions/" + subscriptionID) {
		return access.Check("Microsoft.Resources/subscriptions/resourceGroups/read", "/subscriptions/"+subscriptionID)
	}
	var list resourcesv1alpha1.ResourceGroupList
	if err := p.Client.List(r.Context(), &list, client.MatchingLabels{SubscriptionLabel: subscriptionID}); err != nil {
		return err
	}
	bodies := []groupBody{}
	for i := range list.Items {
		body := newGroupBody(&list.Items[i])
		if (name != "" || value != "") && !hasTag(body.Tags, name, value) {
			continue
		}
		if access.Allows("Microsoft.Resources/subscriptions/resourceGroups/read", body.ID) {
			bodies = append(bodies, body)
		}
	}
	page, err := arm.Page(r, bodies, func(b groupBody) string { return b.ID })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

// GroupProperties is the table of a resource group's properties.
func GroupProperties() []arm.Property {
	return []arm.Property{
		{Path: "id", Kind: arm.Any, Use: arm.ReadOnly}, {Path: "name", Kind: arm.Any, Use: arm.ReadOnly},
		{Path: "type", Kind: arm.Any, Use: arm.ReadOnly}, {Path: "properties", Kind: arm.Any, Use: arm.ReadOnly},
		{Path: "location", Kind: arm.String}, {Path: "tags", Kind: arm.Map}, {Path: "tags{}", Kind: arm.String},
		{Path: "managedBy", Kind: arm.String, Use: arm.Inert, Note: "said of the groups that clusters make for their nodes; what is sent has to be what is there"},
	}
}

type groupRequest struct {
	Location string            `json:"location"`
	Tags     map[string]string `json:"tags"`
	// ManagedBy may only be what is there.
	ManagedBy string `json:"managedBy"`
}

// readGroup decodes and checks a body.
func (p *Provider) readGroup(r *arm.Request) (groupRequest, *arm.Body, *arm.FieldErrors, error) {
	var request groupRequest
	fields := &arm.FieldErrors{}
	schema, err := arm.NewSchema(GroupProperties())
	if err != nil {
		return request, nil, nil, err
	}
	body, err := schema.Read(r.Body, fields)
	if err != nil {
		return request, nil, nil, err
	}
	if fields.Malformed() {
		return request, nil, nil, fields.Err()
	}
	if err := body.Decode(&request); err != nil {
		return request, nil, nil, err
	}
	CheckTags(request.Tags, body.Path("tags"), fields)
	return request, body, fields, nil
}

func (p *Provider) putGroup(w http.ResponseWriter, r *arm.Request) error {
	request, body, fields, err := p.readGroup(r)
	if err != nil {
		return err
	}
	name := r.Param("resourceGroup")
	if !validGroupName(name) {
		fields.Add("InvalidResourceGroup", "resourceGroupName", "The provided resource group name '%.100s' is invalid: it may have up to 90 letters, digits and the characters - _ ( ) . and does not end with a period.", name)
	}
	switch {
	case request.Location == "":
		fields.Add("LocationRequired", "location", "The location property is required for this definition.")
	case !SameLocation(request.Location, p.Location):
		fields.Add("LocationNotAvailableForResourceGroup", body.Path("location"), "The provided location '%.100s' is not available for resource group. List of available regions is '%s'.", request.Location, p.Location)
	}
	if err := fields.Err(); err != nil {
		return err
	}
	return RetryConflicts(func() error { return p.writeGroup(w, r, request) })
}

// writeGroup creates or updates the group, one object write.
func (p *Provider) writeGroup(w http.ResponseWriter, r *arm.Request, request groupRequest) error {
	group, err := p.group(r)
	if request.ManagedBy != "" && (err != nil || !strings.EqualFold(request.ManagedBy, group.Spec.ManagedBy)) {
		return arm.NewError(http.StatusBadRequest, arm.CodeNotSupported,
			"The value of 'managedBy' is not supported: a group belongs to a managed cluster if that made it, and to nothing otherwise.").At("managedBy")
	}
	var answer *arm.Error
	if asARM(err, &answer) && answer.Status == http.StatusNotFound {
		group = &resourcesv1alpha1.ResourceGroup{
			ObjectMeta: metav1.ObjectMeta{
				Name:       naming.Object(GroupID(r.Param("subscriptionID"), r.Param("resourceGroup")).String()),
				Finalizers: []string{resourcesv1alpha1.ResourceGroupFinalizer},
				Labels:     map[string]string{SubscriptionLabel: strings.ToLower(r.Param("subscriptionID"))},
			},
			Spec: resourcesv1alpha1.ResourceGroupSpec{
				SubscriptionID: strings.ToLower(r.Param("subscriptionID")), Name: r.Param("resourceGroup"),
				Location: p.Location, Tags: request.Tags,
			},
		}
		if err := p.Client.Create(r.Context(), group); err != nil {
			return err
		}
		return arm.WriteJSON(w, http.StatusCreated, newGroupBody(group))
	}
	if err != nil {
		return err
	}
	if group.DeletionTimestamp != nil {
		return beingDeleted(r.Param("resourceGroup"))
	}
	group.Spec.Name, group.Spec.Tags = r.Param("resourceGroup"), request.Tags
	if err := p.Client.Update(r.Context(), group); err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, newGroupBody(group))
}

// patchGroup replaces the tags.
func (p *Provider) patchGroup(w http.ResponseWriter, r *arm.Request) error {
	request, body, fields, err := p.readGroup(r)
	if err != nil {
		return err
	}
	if request.Location != "" && !SameLocation(request.Location, p.Location) {
		fields.Add(arm.CodeChangeNotAllowed, body.Path("location"), "The location of a resource group cannot be changed.")
	}
	if err := fields.Err(); err != nil {
		return err
	}
	return RetryConflicts(func() error {
		group, err := WritableGroup(r.Context(), p.Client, r.Param("subscriptionID"), r.Param("resourceGroup"))
		if err != nil {
			return err
		}
		if body.Has("tags") {
			group.Spec.Tags = request.Tags
		}
		if err := p.Client.Update(r.Context(), group); err != nil {
			return err
		}
		return arm.WriteJSON(w, http.StatusOK, newGroupBody(group))
	})
}

// CodeConflict is the code of a request that others were faster than too often.
const CodeConflict = "Conflict"

// RetryConflicts repeats a read, decision and write that met another writer.
func RetryConflicts(attempt func() error) error {
	var err error
	for range 5 {
		err = attempt()
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return arm.NewError(http.StatusConflict, CodeConflict, "The resource was changed by others at the same time. Repeat the request.")
}

func validGroupName(name string) bool {
	return len([]rune(name)) <= 90 && regexp.MustCompile(`^[-_().\p{L}\p{N}]+$`).MatchString(name) && !strings.HasSuffix(name, ".")
}
