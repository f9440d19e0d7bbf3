package authorization

import (
	"context"
	"net/http"
	"strings"

	"github.com/google/uuid"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	managedidentityv1alpha1 "berth.dev/berth/api/managedidentity/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/naming"
)

// AssignmentProperties is the table of a role assignment's properties.
func AssignmentProperties() []arm.Property {
	p := "properties."
	readOnly := func(path string) arm.Property {
		return arm.Property{Path: path, Kind: arm.Any, Use: arm.ReadOnly}
	}
	refused := func(path string, kind arm.Kind, note string) arm.Property {
		return arm.Property{Path: path, Kind: kind, Use: arm.Refused, Note: note}
	}
	return []arm.Property{
		readOnly("id"), readOnly("name"), readOnly("type"),
		{Path: "properties", Kind: arm.Object},
		{Path: p + "roleDefinitionId", Kind: arm.String}, {Path: p + "principalId", Kind: arm.String},
		{Path: p + "principalType", Kind: arm.String}, {Path: p + "description", Kind: arm.String},
		refused(p+"condition", arm.String, "conditions are not built"), refused(p+"conditionVersion", arm.String, "conditions are not built"),
		refused(p+"delegatedManagedIdentityResourceId", arm.String, "there is one tenant"),
		refused(p+"canDelegate", arm.Boolean, "delegation is not built"),
		readOnly(p + "scope"), readOnly(p + "createdOn"), readOnly(p + "updatedOn"), readOnly(p + "createdBy"), readOnly(p + "updatedBy"),
	}
}

// readAssignment decodes and checks a body.
func (p *Provider) readAssignment(r *arm.Request) (authorizationv1alpha1.RoleAssignmentSpec, error) {
	var request struct {
		Properties struct {
			RoleDefinitionID string `json:"roleDefinitionId"`
			PrincipalID      string `json:"principalId"`
			PrincipalType    string `json:"principalType"`
			Description      string `json:"description"`
		} `json:"properties"`
	}
	spec := authorizationv1alpha1.RoleAssignmentSpec{Scope: scope(r)}
	fields := &arm.FieldErrors{}
	body, err := decode(AssignmentProperties(), r.Body, fields, &request)
	if err != nil {
		return spec, err
	}
	sent := request.Properties
	if _, err := uuid.Parse(sent.PrincipalID); err != nil || len(sent.PrincipalID) != 36 {
		fields.Add("InvalidPrincipalId", body.Path("properties.principalId"), "The principal ID '%.100s' is not valid. Principal ID must be a GUID.", sent.PrincipalID)
	}
	role := identity.RoleGUID(sent.RoleDefinitionID)
	if _, err := uuid.Parse(role); err != nil || len(role) != 36 {
		fields.Add("InvalidRoleDefinitionId", body.Path("properties.roleDefinitionId"), "The role definition ID '%.200s' is not valid.", sent.RoleDefinitionID)
	}
	if len(sent.Description) > 1024 {
		fields.Invalid(body.Path("properties.description"), "The description is longer than 1024 characters.")
	}
	switch strings.ToLower(sent.PrincipalType) {
	case "":
	case "serviceprincipal":
		spec.PrincipalType = "ServicePrincipal"
	case "user", "group", "foreigngroup", "device":
		fields.Add(arm.CodeNotSupported, body.Path("properties.principalType"), "The principal type '%s' is not supported: there are only service principals.", sent.PrincipalType)
	default:
		fields.Invalid(body.Path("properties.principalType"), "The principal type '%.40s' is not known.", sent.PrincipalType)
	}
	spec.PrincipalID, spec.RoleDefinitionID, spec.Description = strings.ToLower(sent.PrincipalID), role, sent.Description
	return spec, fields.Err()
}

// decode reads a body against a table of properties.
func decode(table []arm.Property, raw []byte, fields *arm.FieldErrors, into any) (*arm.Body, error) {
	schema, err := arm.NewSchema(table)
	if err != nil {
		return nil, err
	}
	body, err := schema.Read(raw, fields)
	if err != nil {
		return nil, err
	}
	if fields.Malformed() {
		return nil, fields.Err()
	}
	return body, body.Decode(into)
}

// checkPrincipal looks for a principal among service principals, the identities
// of clusters and of their nodes, and those that users made. A caller that names the principal's type says that
// it knows better, as with Azure, where a new principal may not be seen yet.
func (p *Provider) checkPrincipal(ctx context.Context, id string) error {
	var principals authorizationv1alpha1.ServicePrincipalList
	if err := p.Client.List(ctx, &principals); err != nil {
		return err
	}
	for _, principal := range principals.Items {
		if strings.EqualFold(principal.Spec.ObjectID, id) {
			return nil
		}
	}
	var clusters containerservicev1alpha1.ManagedClusterList
	if err := p.Client.List(ctx, &clusters); err != nil {
		return err
	}
	for i := range clusters.Items {
		_, kubelet := naming.KubeletIdentity(clusters.Items[i].Spec.Incarnation)
		if strings.EqualFold(clusters.Items[i].Spec.IdentityPrincipalID, id) || strings.EqualFold(kubelet, id) {
			return nil
		}
	}
	var identities managedidentityv1alpha1.UserAssignedIdentityList
	if err := p.Client.List(ctx, &identities); err != nil {
		return err
	}
	for i := range identities.Items {
		if strings.EqualFold(identities.Items[i].Spec.PrincipalID, id) && identities.Items[i].DeletionTimestamp == nil {
			return nil
		}
	}
	return arm.NewError(http.StatusBadRequest, "PrincipalNotFound",
		"Principal %s does not exist in the directory %s. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, set the role assignment principalType property to ServicePrincipal.",
		id, p.TenantID).At("properties.principalId")
}
