package identity

import (
	"net/http"
	"strings"

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

// AllowsData says the same of an action on what lies in a resource.
func (a Access) AllowsData(action, scope string) bool {
	scope = normalScope(scope)
	for _, g := range a.grants {
		if (g.scope == scope || strings.HasPrefix(scope, g.scope+"/")) && g.role.AllowsData(action) {
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
