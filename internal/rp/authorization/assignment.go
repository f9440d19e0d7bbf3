package authorization

import (
	"context"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
)

type object = map[string]any

// assignmentBody is an assignment on the wire.
func assignmentBody(a *authorizationv1alpha1.RoleAssignment) object {
	role := below(subscriptionOf(a.Spec.Scope), "roleDefinitions", identity.RoleGUID(a.Spec.RoleDefinitionID))
	return object{
		"id": below(a.Spec.Scope, "roleAssignments", a.Name), "name": a.Name, "type": Namespace + "/roleAssignments",
		"properties": object{
			"roleDefinitionId": role, "principalId": a.Spec.PrincipalID, "principalType": principalType(a), "scope": a.Spec.Scope,
			"condition": nil, "conditionVersion": nil, "delegatedManagedIdentityResourceId": nil, "description": orNull(a.Spec.Description),
			"createdOn": timestamp(a.CreationTimestamp.Time), "updatedOn": timestamp(a.CreationTimestamp.Time),
			"createdBy": orNull(a.Spec.CreatedBy), "updatedBy": orNull(a.Spec.CreatedBy),
		},
	}
}

func principalType(a *authorizationv1alpha1.RoleAssignment) string {
	if a.Spec.PrincipalType == "" {
		return "ServicePrincipal"
	}
	return a.Spec.PrincipalType
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// subscriptionOf is the scope's subscription, "/" above all subscriptions.
func subscriptionOf(scope string) string {
	if parts := strings.Split(scope, "/"); len(parts) > 2 {
		return "/" + parts[1] + "/" + parts[2]
	}
	return "/"
}

// find reads the assignment of the path. One with the same name at another
// scope is not there: its id is another.
func (p *Provider) find(r *arm.Request) (*authorizationv1alpha1.RoleAssignment, error) {
	name, err := guid(r, "roleAssignmentName")
	if err != nil {
		return nil, err
	}
	var assignment authorizationv1alpha1.RoleAssignment
	err = p.Client.Get(r.Context(), client.ObjectKey{Name: name}, &assignment)
	if apierrors.IsNotFound(err) || err == nil && !sameScope(assignment.Spec.Scope, scope(r)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &assignment, nil
}

func sameScope(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, "/"), strings.TrimRight(b, "/"))
}

func (p *Provider) getAssignment(w http.ResponseWriter, r *arm.Request) error {
	assignment, err := p.find(r)
	if err != nil {
		return err
	}
	if assignment == nil {
		return arm.NewError(http.StatusNotFound, "RoleAssignmentNotFound", "The role assignment '%.40s' is not found.", r.Param("roleAssignmentName"))
	}
	return arm.WriteJSON(w, http.StatusOK, assignmentBody(assignment))
}

// deleteAssignment takes a role away, which acts at once here and within
// seconds on other front ends.
func (p *Provider) deleteAssignment(w http.ResponseWriter, r *arm.Request) error {
	assignment, err := p.find(r)
	if err != nil {
		return err
	}
	if assignment == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	defer p.Tokens.ForgetAccess()
	if err := client.IgnoreNotFound(p.Client.Delete(r.Context(), assignment)); err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, assignmentBody(assignment))
}

// listAssignments lists the assignments at the scope, above it and below it;
// with atScope() those below are left out.
func (p *Provider) listAssignments(w http.ResponseWriter, r *arm.Request) error {
	terms, err := r.Filter()
	if err != nil {
		return err
	}
	var principal string
	atScope, at := false, scope(r)
	for _, term := range terms {
		switch {
		case term.Is("atScope", true) && term.Value == "":
			atScope = true
		case term.Is("principalId", false), term.Is("assignedTo", true):
			// No principal is in a group yet, so both say the same.
			principal = strings.Trim(term.Value, "{}")
		default:
			return arm.UnsupportedFilter(term, "atScope(), principalId eq '{id}' and assignedTo('{id}')")
		}
	}
	var list authorizationv1alpha1.RoleAssignmentList
	if err := p.Client.List(r.Context(), &list); err != nil {
		return err
	}
	found := slices.DeleteFunc(list.Items, func(a authorizationv1alpha1.RoleAssignment) bool {
		inherited, beneath := identity.Covers(a.Spec.Scope, at), identity.Covers(at, a.Spec.Scope) && !atScope
		return !inherited && !beneath || principal != "" && !strings.EqualFold(principal, a.Spec.PrincipalID)
	})
	page, err := arm.Page(r, found, func(a authorizationv1alpha1.RoleAssignment) string { return a.Name })
	if err != nil {
		return err
	}
	bodies := make([]object, 0, len(page.Value))
	for i := range page.Value {
		bodies = append(bodies, assignmentBody(&page.Value[i]))
	}
	return arm.WriteJSON(w, http.StatusOK, arm.List[object]{Value: bodies, NextLink: page.NextLink})
}

// putAssignment gives a role. That the caller may write assignments at this
// scope, the front end has checked; the principal, the role and what the scope
// names have to be there.
func (p *Provider) putAssignment(w http.ResponseWriter, r *arm.Request) error {
	name, err := guid(r, "roleAssignmentName")
	if err != nil {
		return err
	}
	spec, err := p.readAssignment(r)
	if err != nil {
		return err
	}
	if err := p.checkScope(r.Context(), spec.Scope); err != nil {
		return err
	}
	if err := p.checkRole(r.Context(), spec); err != nil {
		return err
	}
	old, err := p.sameOrTaken(r.Context(), name, spec)
	if err != nil {
		return err
	}
	if old != nil {
		return arm.WriteJSON(w, http.StatusOK, assignmentBody(old))
	}
	if spec.PrincipalType == "" {
		if err := p.checkPrincipal(r.Context(), spec.PrincipalID); err != nil {
			return err
		}
		spec.PrincipalType = "ServicePrincipal"
	}
	spec.CreatedBy = r.Principal.ObjectID
	assignment := &authorizationv1alpha1.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	defer p.Tokens.ForgetAccess()
	if err := p.Client.Create(r.Context(), assignment); err != nil {
		if apierrors.IsAlreadyExists(err) { // made since we looked
			return exists()
		}
		return err
	}
	if err := p.keepIfThere(r.Context(), assignment); err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusCreated, assignmentBody(assignment))
}

// keepIfThere takes a new assignment back if what it was given on is gone: a
// deletion that ended since we looked cannot have seen it.
func (p *Provider) keepIfThere(ctx context.Context, assignment *authorizationv1alpha1.RoleAssignment) error {
	gone := p.checkScope(ctx, assignment.Spec.Scope)
	if gone == nil {
		return nil
	}
	if err := client.IgnoreNotFound(p.Client.Delete(context.WithoutCancel(ctx), assignment)); err != nil {
		return err
	}
	return gone
}

// sameOrTaken finds the assignment of a name if it says the same, and refuses
// a second one that says what another does.
func (p *Provider) sameOrTaken(ctx context.Context, name string, spec authorizationv1alpha1.RoleAssignmentSpec) (*authorizationv1alpha1.RoleAssignment, error) {
	var list authorizationv1alpha1.RoleAssignmentList
	if err := p.Client.List(ctx, &list); err != nil {
		return nil, err
	}
	for i := range list.Items {
		other := &list.Items[i]
		same := sameScope(other.Spec.Scope, spec.Scope) && strings.EqualFold(other.Spec.PrincipalID, spec.PrincipalID) &&
			identity.RoleGUID(other.Spec.RoleDefinitionID) == identity.RoleGUID(spec.RoleDefinitionID)
		switch {
		case other.Name == name && same:
			return other, nil
		case other.Name == name:
			return nil, arm.NewError(http.StatusConflict, "RoleAssignmentUpdateNotPermitted",
				"Tenant ID, application ID, principal ID, role definition ID and scope are not allowed to be updated.")
		case same:
			return nil, exists()
		}
	}
	return nil, nil
}

func exists() error {
	return arm.NewError(http.StatusConflict, "RoleAssignmentExists", "The role assignment already exists.")
}

func (p *Provider) checkRole(ctx context.Context, spec authorizationv1alpha1.RoleAssignmentSpec) error {
	roles, err := p.Tokens.Roles(ctx)
	if err != nil {
		return err
	}
	role, known := roles[spec.RoleDefinitionID]
	if !known || !role.AssignableAt(spec.Scope) {
		return arm.NewError(http.StatusBadRequest, "RoleDefinitionDoesNotExist",
			"The specified role definition with ID '%.100s' does not exist, or may not be assigned at the scope '%s'.", spec.RoleDefinitionID, spec.Scope).At("properties.roleDefinitionId")
	}
	return nil
}
