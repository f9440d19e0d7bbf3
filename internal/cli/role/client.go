package role

import (
	"context"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"
	"github.com/google/uuid"

	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/session"
)

// Roles is a client of role assignments and the roles that they give.
type Roles struct {
	assignments *armauthorization.RoleAssignmentsClient
	definitions *armauthorization.RoleDefinitionsClient
	directory   *arm.Client
}

// Assignment is a role that is given, as az prints one.
type Assignment struct {
	ID                 string `json:"id"`
	Name               string `json:"name"`
	PrincipalID        string `json:"principalId"`
	PrincipalType      string `json:"principalType"`
	RoleDefinitionID   string `json:"roleDefinitionId"`
	RoleDefinitionName string `json:"roleDefinitionName"`
	Scope              string `json:"scope"`
}

// Open makes the client.
func Open(s *session.Session) (Roles, error) {
	factory, err := s.Authorization()
	if err != nil {
		return Roles{}, err
	}
	directory, err := s.ARM()
	return Roles{assignments: factory.NewRoleAssignmentsClient(), definitions: factory.NewRoleDefinitionsClient(), directory: directory}, err
}

// same compares ids of ARM, which have no case and may end in a slash.
func same(a, b string) bool {
	return strings.EqualFold(strings.Trim(a, "/"), strings.Trim(b, "/"))
}

// guid is the last part of an id.
func guid(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// Definition is the id of the role of a name or a GUID, as it can be given at a scope.
func (r Roles) Definition(ctx context.Context, name, scope string) (string, error) {
	scope = strings.TrimRight(scope, "/")
	if _, err := uuid.Parse(name); err == nil {
		return scope + "/providers/Microsoft.Authorization/roleDefinitions/" + name, nil
	}
	filter := "roleName eq '" + strings.ReplaceAll(name, "'", "''") + "'"
	page, err := r.definitions.NewListPager(scope, &armauthorization.RoleDefinitionsClientListOptions{Filter: &filter}).NextPage(ctx)
	if err != nil {
		return "", err
	}
	if len(page.Value) != 1 {
		return "", failure.NotFound("there is no role '%s' that can be given at %s", name, scope)
	}
	return *page.Value[0].ID, nil
}

// Give gives a principal a role.
func (r Roles) Give(ctx context.Context, principal, definition, scope string) (Assignment, error) {
	made, err := r.assignments.Create(ctx, strings.TrimRight(scope, "/"), uuid.NewString(), armauthorization.RoleAssignmentCreateParameters{
		Properties: &armauthorization.RoleAssignmentProperties{
			PrincipalID: &principal, RoleDefinitionID: &definition, PrincipalType: to.Ptr(armauthorization.PrincipalTypeServicePrincipal),
		},
	}, nil)
	if err != nil {
		return Assignment{}, err
	}
	names, err := r.names(ctx, scope)
	return assignment(&made.RoleAssignment, names), err
}

// Take takes away the role of an assignment.
func (r Roles) Take(ctx context.Context, id string) error {
	_, err := r.assignments.DeleteByID(ctx, id, nil)
	return err
}

func (r Roles) list(ctx context.Context, scope string) ([]Assignment, error) {
	names, err := r.names(ctx, scope)
	if err != nil {
		return nil, err
	}
	var all []Assignment
	for pager := r.assignments.NewListForScopePager(strings.TrimRight(scope, "/"), nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, one := range page.Value {
			all = append(all, assignment(one, names))
		}
	}
	return all, nil
}

// names are the names of the roles that can be given at a scope, by GUID.
func (r Roles) names(ctx context.Context, scope string) (map[string]string, error) {
	names := map[string]string{}
	for pager := r.definitions.NewListPager(strings.TrimRight(scope, "/"), nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, one := range page.Value {
			names[strings.ToLower(*one.Name)] = *one.Properties.RoleName
		}
	}
	return names, nil
}

func assignment(one *armauthorization.RoleAssignment, names map[string]string) Assignment {
	p := one.Properties
	kind := ""
	if p.PrincipalType != nil {
		kind = string(*p.PrincipalType)
	}
	return Assignment{ID: *one.ID, Name: *one.Name, PrincipalID: *p.PrincipalID, PrincipalType: kind, RoleDefinitionID: *p.RoleDefinitionID,
		RoleDefinitionName: names[strings.ToLower(guid(*p.RoleDefinitionID))], Scope: *p.Scope}
}

// principal is what assignments name: the object id of the service principal of
// an app id. Whatever is no app id, or may not be looked up, is one itself.
func (r Roles) principal(ctx context.Context, assignee string) (string, error) {
	if _, err := uuid.Parse(assignee); err != nil {
		return "", failure.Usage("--assignee '%s' is no GUID: it is an app id or a principal id", assignee)
	}
	request, err := runtime.NewRequest(ctx, http.MethodGet, runtime.JoinPaths(r.directory.Endpoint(), "/providers/Berth.Identity/servicePrincipals/"+assignee)+"?api-version=2026-11-01")
	if err != nil {
		return "", err
	}
	response, err := r.directory.Pipeline().Do(request)
	if err != nil {
		return "", err
	}
	if runtime.HasStatusCode(response, http.StatusNotFound, http.StatusForbidden) {
		return assignee, response.Body.Close()
	}
	if !runtime.HasStatusCode(response, http.StatusOK) {
		return "", runtime.NewResponseError(response)
	}
	var found struct {
		Properties struct {
			ObjectID string `json:"objectId"`
		} `json:"properties"`
	}
	err = runtime.UnmarshalAsJSON(response, &found)
	return found.Properties.ObjectID, err
}
