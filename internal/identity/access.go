package identity

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// Access is what one principal may do: the roles that it has at each scope.
type Access struct {
	principal arm.Principal
	grants    []grant
}

type grant struct {
	scope string // lower case, without a slash at its end
	role  RoleDefinition
}

// Access reads the role assignments of a principal.
func (s *Service) Access(ctx context.Context, principal arm.Principal) (Access, error) {
	var list authorizationv1alpha1.RoleAssignmentList
	if err := s.options.Client.List(ctx, &list); err != nil {
		return Access{}, fmt.Errorf("reading role assignments: %w", err)
	}
	roles := RoleDefinitions()
	access := Access{principal: principal}
	for _, assignment := range list.Items {
		if !strings.EqualFold(assignment.Spec.PrincipalID, principal.ObjectID) {
			continue
		}
		for _, role := range roles {
			if strings.EqualFold(role.ID, lastSegment(assignment.Spec.RoleDefinitionID)) {
				access.grants = append(access.grants, grant{normalScope(assignment.Spec.Scope), role})
			}
		}
	}
	return access, nil
}

// Allows says whether the principal may do an action on a scope: a role that
// allows it is assigned there or above.
func (a Access) Allows(action, scope string) bool {
	scope = normalScope(scope)
	for _, g := range a.grants {
		if (g.scope == scope || strings.HasPrefix(scope, g.scope+"/")) && g.role.Allows(action) {
			return true
		}
	}
	return false
}

// Sees says whether the principal has any role at a scope, above it or below
// it: what ARM asks of a subscription before it lists it.
func (a Access) Sees(scope string) bool {
	scope = normalScope(scope)
	for _, g := range a.grants {
		if g.scope == scope || strings.HasPrefix(scope, g.scope+"/") || strings.HasPrefix(g.scope, scope+"/") {
			return true
		}
	}
	return false
}

// Check is nil if the principal may do an action on a scope, and ARM's answer otherwise.
func (a Access) Check(action, scope string) error {
	if a.Allows(action, scope) {
		return nil
	}
	return arm.NewError(http.StatusForbidden, "AuthorizationFailed",
		"The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s' or the scope is invalid. If access was recently granted, please refresh your credentials.",
		a.principal.AppID, a.principal.ObjectID, action, scope)
}

func normalScope(scope string) string { return strings.ToLower(strings.TrimRight(scope, "/")) }

func lastSegment(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }
