package identity

import (
	"slices"
	"strings"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
)

// RoleDefinition is a role: what it lets a principal do.
type RoleDefinition struct {
	// ID is the role's GUID; of a built-in role, the one that Azure gives it.
	ID, Name, Description string
	// Permissions are what the role allows: what any of them allows.
	Permissions []Permission
	// AssignableScopes are where a custom role may be assigned; nil of a
	// built-in role, which may be assigned everywhere.
	AssignableScopes []string
}

// Permission allows what one of its patterns matches and none of the excluding
// ones. "*" in a pattern stands for any characters.
type Permission struct {
	Actions, NotActions         []string
	DataActions, NotDataActions []string
}

// NewRoleDefinition is the role that an object stores.
func NewRoleDefinition(object *authorizationv1alpha1.RoleDefinition) RoleDefinition {
	role := RoleDefinition{
		ID: object.Name, Name: object.Spec.RoleName, Description: object.Spec.Description,
		AssignableScopes: object.Spec.AssignableScopes,
	}
	for _, p := range object.Spec.Permissions {
		role.Permissions = append(role.Permissions, Permission(p))
	}
	return role
}

// BuiltIn says whether the role is one of Azure's own.
func (d RoleDefinition) BuiltIn() bool { return d.AssignableScopes == nil }

// AssignableAt says whether the role may be assigned at a scope.
func (d RoleDefinition) AssignableAt(scope string) bool {
	return d.BuiltIn() || slices.ContainsFunc(d.AssignableScopes, func(s string) bool { return Covers(s, scope) })
}

// Allows says whether the role allows an action on resources.
func (d RoleDefinition) Allows(action string) bool {
	return slices.ContainsFunc(d.Permissions, func(p Permission) bool {
		return matchAny(p.Actions, action) && !matchAny(p.NotActions, action)
	})
}

// AllowsData says whether the role allows an action on what lies in resources.
func (d RoleDefinition) AllowsData(action string) bool {
	return slices.ContainsFunc(d.Permissions, func(p Permission) bool {
		return matchAny(p.DataActions, action) && !matchAny(p.NotDataActions, action)
	})
}

func matchAny(patterns []string, action string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matchAction(pattern, action) })
}

// matchAction matches a pattern with any number of "*" against an action,
// regardless of case. "/*/" stands for one slash too: Azure's own role Managed
// Identity Operator allows userAssignedIdentities/assign/action by the pattern
// userAssignedIdentities/*/assign/action.
func matchAction(pattern, action string) bool {
	pattern, action = strings.ToLower(pattern), strings.ToLower(action)
	return matchWild(pattern, action) ||
		strings.Contains(pattern, "/*/") && matchWild(strings.ReplaceAll(pattern, "/*/", "/"), action)
}

func matchWild(pattern, action string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == action
	}
	if !strings.HasPrefix(action, first) {
		return false
	}
	action = action[len(first):]
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(action, part)
		}
		i := strings.Index(action, part)
		if i < 0 {
			return false
		}
		action, rest = action[i+len(part):], next
	}
}

// Covers says whether a scope is another one or lies above it.
func Covers(scope, other string) bool {
	scope, other = normalScope(scope), normalScope(other)
	return scope == other || strings.HasPrefix(other, scope+"/")
}

func normalScope(scope string) string { return strings.ToLower(strings.TrimRight(scope, "/")) }
