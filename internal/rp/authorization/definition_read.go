package authorization

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
)

// The limits of a custom role.
const (
	maxRoleName    = 512
	maxPermissions = 100
	maxActions     = 1000
	maxScopes      = 2000
)

// DefinitionProperties is the table of a role definition's properties.
func DefinitionProperties() []arm.Property {
	p := "properties."
	table := []arm.Property{
		{Path: "id", Kind: arm.Any, Use: arm.ReadOnly}, {Path: "name", Kind: arm.Any, Use: arm.ReadOnly}, {Path: "type", Kind: arm.Any, Use: arm.ReadOnly},
		{Path: "properties", Kind: arm.Object}, {Path: p + "roleName", Kind: arm.String}, {Path: p + "description", Kind: arm.String},
		{Path: p + "type", Kind: arm.String, Use: arm.Refused, Neutral: []any{"CustomRole"}, Note: "only custom roles can be made"},
		{Path: p + "assignableScopes", Kind: arm.Array}, {Path: p + "assignableScopes[]", Kind: arm.String},
		{Path: p + "permissions", Kind: arm.Array}, {Path: p + "permissions[]", Kind: arm.Object},
	}
	for _, name := range []string{"actions", "notActions", "dataActions", "notDataActions"} {
		table = append(table, arm.Property{Path: p + "permissions[]." + name, Kind: arm.Array}, arm.Property{Path: p + "permissions[]." + name + "[]", Kind: arm.String})
	}
	for _, name := range []string{"condition", "conditionVersion"} {
		table = append(table, arm.Property{Path: p + "permissions[]." + name, Kind: arm.String, Use: arm.Refused, Note: "conditions are not built"})
	}
	for _, name := range []string{"createdOn", "updatedOn", "createdBy", "updatedBy"} {
		table = append(table, arm.Property{Path: p + name, Kind: arm.Any, Use: arm.ReadOnly})
	}
	return table
}

// readDefinition decodes and checks a body.
func (p *Provider) readDefinition(r *arm.Request) (authorizationv1alpha1.RoleDefinitionSpec, error) {
	var request struct {
		Properties struct {
			RoleName         string                                 `json:"roleName"`
			Description      string                                 `json:"description"`
			AssignableScopes []string                               `json:"assignableScopes"`
			Permissions      []authorizationv1alpha1.RolePermission `json:"permissions"`
		} `json:"properties"`
	}
	fields := &arm.FieldErrors{}
	body, err := decode(DefinitionProperties(), r.Body, fields, &request)
	if err != nil {
		return authorizationv1alpha1.RoleDefinitionSpec{}, err
	}
	sent := request.Properties
	spec := authorizationv1alpha1.RoleDefinitionSpec{
		RoleName: strings.TrimSpace(sent.RoleName), Description: sent.Description,
		AssignableScopes: sent.AssignableScopes, Permissions: sent.Permissions,
	}
	if spec.RoleName == "" || len(spec.RoleName) > maxRoleName {
		fields.Invalid(body.Path("properties.roleName"), "A role needs a name of at most %d characters.", maxRoleName)
	}
	if len(spec.Description) > 2048 {
		fields.Invalid(body.Path("properties.description"), "The description is longer than 2048 characters.")
	}
	checkScopes(spec.AssignableScopes, body, fields)
	checkPermissions(spec.Permissions, body, fields)
	return spec, fields.Err()
}

func checkScopes(scopes []string, body *arm.Body, fields *arm.FieldErrors) {
	path := body.Path("properties.assignableScopes")
	if len(scopes) == 0 || len(scopes) > maxScopes {
		fields.Invalid(path, "A custom role needs 1 to %d assignable scopes.", maxScopes)
	}
	for i, scope := range scopes {
		id, err := arm.ParseResourceID(scope)
		if err != nil || id.Provider != "" || !strings.HasPrefix(scope, "/") {
			fields.Add("InvalidAssignableScope", path+"["+strconv.Itoa(i)+"]",
				"The assignable scope '%.200s' is neither a subscription nor a resource group.", scope)
		}
	}
}

func checkPermissions(permissions []authorizationv1alpha1.RolePermission, body *arm.Body, fields *arm.FieldErrors) {
	path := body.Path("properties.permissions")
	if len(permissions) == 0 || len(permissions) > maxPermissions {
		fields.Invalid(path, "A role needs 1 to %d permissions.", maxPermissions)
	}
	pattern := regexp.MustCompile(`^(\*|[A-Za-z0-9.*_-]+(/[A-Za-z0-9.*_$-]+)+)$`)
	for i, permission := range permissions {
		for name, actions := range map[string][]string{
			"actions": permission.Actions, "notActions": permission.NotActions,
			"dataActions": permission.DataActions, "notDataActions": permission.NotDataActions,
		} {
			at := path + "[" + strconv.Itoa(i) + "]." + name
			if len(actions) > maxActions {
				fields.Invalid(at, "There are more than %d actions.", maxActions)
			}
			for j, action := range actions {
				if len(action) > 512 || !pattern.MatchString(action) {
					fields.Add("InvalidActionOrNotAction", at+"["+strconv.Itoa(j)+"]", "'%.200s' is not the name of an action, such as Microsoft.ContainerService/managedClusters/read.", action)
				}
			}
		}
	}
}

// checkDefinition refuses a name that another role has, and scopes that leave
// out where the role is assigned.
func (p *Provider) checkDefinition(ctx context.Context, id string, spec authorizationv1alpha1.RoleDefinitionSpec) error {
	roles, err := p.Tokens.Roles(ctx)
	if err != nil {
		return err
	}
	for other, role := range roles {
		if other != id && strings.EqualFold(role.Name, spec.RoleName) {
			return arm.NewError(http.StatusConflict, "RoleDefinitionWithSameNameExists",
				"A custom role with the same name already exists in this directory. Use a different name.").At("properties.roleName")
		}
	}
	role := identity.RoleDefinition{AssignableScopes: spec.AssignableScopes}
	return p.unassigned(ctx, id, role.AssignableAt)
}

// unassigned refuses if a role is assigned anywhere but where except allows.
func (p *Provider) unassigned(ctx context.Context, id string, except func(scope string) bool) error {
	var assignments authorizationv1alpha1.RoleAssignmentList
	if err := p.Client.List(ctx, &assignments); err != nil {
		return err
	}
	for _, assignment := range assignments.Items {
		if identity.RoleGUID(assignment.Spec.RoleDefinitionID) == id && (except == nil || !except(assignment.Spec.Scope)) {
			return arm.NewError(http.StatusBadRequest, "RoleDefinitionHasAssignments",
				"There are existing role assignments referencing role '%s', such as '%s' at '%s'. Delete them first.", id, assignment.Name, assignment.Spec.Scope)
		}
	}
	return nil
}
