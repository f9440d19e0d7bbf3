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

// builtInSince is when the built-in roles say that they were made.
const builtInSince = "2015-02-02T21:55:09.8806423Z"

// definitionBody is a role on the wire; stored is nil of a built-in one.
func definitionBody(at string, role identity.RoleDefinition, stored *authorizationv1alpha1.RoleDefinition) object {
	properties := object{
		"roleName": role.Name, "type": "BuiltInRole", "description": role.Description, "assignableScopes": []string{"/"},
		"createdOn": builtInSince, "updatedOn": builtInSince, "createdBy": nil, "updatedBy": nil,
	}
	if stored != nil {
		properties["type"], properties["assignableScopes"] = "CustomRole", role.AssignableScopes
		properties["createdOn"], properties["updatedOn"] = timestamp(stored.CreationTimestamp.Time), timestamp(stored.CreationTimestamp.Time)
		if stored.Spec.UpdatedOn != nil {
			properties["updatedOn"] = timestamp(stored.Spec.UpdatedOn.Time)
		}
		properties["createdBy"], properties["updatedBy"] = orNull(stored.Spec.CreatedBy), orNull(stored.Spec.UpdatedBy)
	}
	permissions := []object{}
	for _, p := range role.Permissions {
		permissions = append(permissions, object{
			"actions": list(p.Actions), "notActions": list(p.NotActions), "dataActions": list(p.DataActions), "notDataActions": list(p.NotDataActions),
		})
	}
	properties["permissions"] = permissions
	return object{
		"id": below(subscriptionOf(at), "roleDefinitions", role.ID), "name": role.ID, "type": Namespace + "/roleDefinitions", "properties": properties,
	}
}

// list is a list that is not null on the wire.
func list(values []string) []string { return append([]string{}, values...) }

// definitions are the roles that may be assigned at a scope or below it, as bodies.
func (p *Provider) definitions(ctx context.Context, at string, below bool) ([]object, error) {
	var bodies []object
	for _, role := range identity.RoleDefinitions() {
		bodies = append(bodies, definitionBody(at, role, nil))
	}
	var stored authorizationv1alpha1.RoleDefinitionList
	if err := p.Client.List(ctx, &stored); err != nil {
		return nil, err
	}
	for i := range stored.Items {
		role := identity.NewRoleDefinition(&stored.Items[i])
		beneath := slices.ContainsFunc(role.AssignableScopes, func(s string) bool { return identity.Covers(at, s) })
		if role.AssignableAt(at) || below && beneath && at != "/" {
			bodies = append(bodies, definitionBody(at, role, &stored.Items[i]))
		}
	}
	return bodies, nil
}

func (p *Provider) listDefinitions(w http.ResponseWriter, r *arm.Request) error {
	terms, err := r.Filter()
	if err != nil {
		return err
	}
	below := false
	for _, term := range terms {
		below = below || term.Is("atScopeAndBelow", true)
	}
	bodies, err := p.definitions(r.Context(), scope(r), below)
	if err != nil {
		return err
	}
	for _, term := range terms {
		var property string
		switch {
		case term.Is("roleName", false):
			property = "roleName"
		case term.Is("type", false):
			property = "type"
		case term.Is("atScope", true), term.Is("atScopeAndBelow", true):
			continue
		default:
			return arm.UnsupportedFilter(term, "roleName eq '{name}', type eq 'CustomRole', atScope() and atScopeAndBelow()")
		}
		bodies = slices.DeleteFunc(bodies, func(b object) bool {
			return !strings.EqualFold(b["properties"].(object)[property].(string), term.Value)
		})
	}
	page, err := arm.Page(r, bodies, func(b object) string { return b["name"].(string) })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

func (p *Provider) getDefinition(w http.ResponseWriter, r *arm.Request) error {
	id, err := guid(r, "roleDefinitionID")
	if err != nil {
		return err
	}
	bodies, err := p.definitions(r.Context(), scope(r), true)
	if err != nil {
		return err
	}
	for _, body := range bodies {
		if body["name"] == id {
			return arm.WriteJSON(w, http.StatusOK, body)
		}
	}
	return arm.NewError(http.StatusNotFound, "RoleDefinitionDoesNotExist", "The specified role definition with ID '%s' does not exist.", id)
}

// stored reads a custom role, nil if there is none.
func (p *Provider) stored(ctx context.Context, id string) (*authorizationv1alpha1.RoleDefinition, error) {
	if slices.ContainsFunc(identity.RoleDefinitions(), func(d identity.RoleDefinition) bool { return d.ID == id }) {
		return nil, arm.NewError(http.StatusForbidden, "RoleDefinitionIsBuiltIn", "The role '%s' is a built-in role, which nobody may change or delete.", id)
	}
	var role authorizationv1alpha1.RoleDefinition
	err := p.Client.Get(ctx, client.ObjectKey{Name: id}, &role)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return &role, err
}

// mayOn checks an action at each of a role's scopes: who changes a role changes
// what others may do wherever it is assigned.
func (p *Provider) mayOn(r *arm.Request, action string, scopes []string) error {
	access, err := p.Tokens.Access(r.Context(), r.Principal)
	if err != nil {
		return err
	}
	for _, scope := range scopes {
		if err := access.Check(Namespace+"/roleDefinitions/"+action, scope); err != nil {
			return err
		}
	}
	return nil
}

// putDefinition makes or changes a custom role.
func (p *Provider) putDefinition(w http.ResponseWriter, r *arm.Request) error {
	id, err := guid(r, "roleDefinitionID")
	if err != nil {
		return err
	}
	role, err := p.stored(r.Context(), id)
	if err != nil {
		return err
	}
	spec, err := p.readDefinition(r)
	if err != nil {
		return err
	}
	scopes := slices.Clone(spec.AssignableScopes)
	if role != nil {
		scopes = append(scopes, role.Spec.AssignableScopes...)
	}
	if err := p.mayOn(r, "write", scopes); err != nil {
		return err
	}
	if err := p.checkDefinition(r.Context(), id, spec); err != nil {
		return err
	}
	defer p.Tokens.ForgetAccess()
	now := metav1.NewTime(p.Now())
	spec.UpdatedBy, spec.UpdatedOn = r.Principal.ObjectID, &now
	if role == nil {
		spec.CreatedBy = r.Principal.ObjectID
		role = &authorizationv1alpha1.RoleDefinition{ObjectMeta: metav1.ObjectMeta{Name: id}, Spec: spec}
		err = p.Client.Create(r.Context(), role)
	} else {
		spec.CreatedBy = role.Spec.CreatedBy
		role.Spec = spec
		err = p.Client.Update(r.Context(), role)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return arm.NewError(http.StatusConflict, "Conflict", "The role was changed by others at the same time. Repeat the request.")
	}
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusCreated, definitionBody(scope(r), identity.NewRoleDefinition(role), role))
}

// deleteDefinition deletes a custom role that nobody has.
func (p *Provider) deleteDefinition(w http.ResponseWriter, r *arm.Request) error {
	id, err := guid(r, "roleDefinitionID")
	if err != nil {
		return err
	}
	role, err := p.stored(r.Context(), id)
	if err != nil {
		return err
	}
	if role == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := p.mayOn(r, "delete", role.Spec.AssignableScopes); err != nil {
		return err
	}
	if err := p.unassigned(r.Context(), id, nil); err != nil {
		return err
	}
	defer p.Tokens.ForgetAccess()
	if err := client.IgnoreNotFound(p.Client.Delete(r.Context(), role)); err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, definitionBody(scope(r), identity.NewRoleDefinition(role), role))
}
