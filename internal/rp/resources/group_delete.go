package resources

import (
	"errors"
	"net/http"
	"strings"

	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/operation"
)

// deleteGroup starts the deletion of a group and of all that lies in it.
func (p *Provider) deleteGroup(w http.ResponseWriter, r *arm.Request) error {
	group, err := p.group(r)
	if err != nil {
		return err
	}
	if err := checkForce(r); err != nil {
		return err
	}
	if group.Spec.ManagedBy != "" {
		if err := Unmanaged(r.Context(), p.Client, r, GroupID(group.Spec.SubscriptionID, group.Spec.Name).String(), naming.Object(group.Spec.ManagedBy)); err != nil {
			return err
		}
	}
	if err := p.held(r); err != nil {
		return err
	}
	id, err := p.Operations.Delete(r.Context(), r, GroupID(group.Spec.SubscriptionID, group.Spec.Name).String(),
		resourcesv1alpha1.Target{Kind: "ResourceGroup", Name: group.Name, UID: string(group.UID)}, group)
	if err != nil {
		return err
	}
	arm.Async{Result: "/subscriptions/" + r.Param("subscriptionID") + "/operationresults/" + id + "?api-version=" + r.APIVersion}.Set(w, r)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// held refuses if what lies outside of the group needs what lies in it.
func (p *Provider) held(r *arm.Request) error {
	for _, n := range p.Namespaces {
		if n.Holds == nil {
			continue
		}
		if err := n.Holds(r.Context(), r.Param("subscriptionID"), r.Param("resourceGroup")); err != nil {
			return err
		}
	}
	return nil
}

// checkForce reads forceDeletionTypes: types whose resources are to go without
// a graceful end. A group here never has any of those that the public service knows.
func checkForce(r *arm.Request) error {
	for _, name := range strings.Split(r.URL.Query().Get("forceDeletionTypes"), ",") {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "", "microsoft.compute/virtualmachines", "microsoft.compute/virtualmachinescalesets":
		default:
			return arm.NewError(http.StatusBadRequest, "InvalidForceDeletionTypes",
				"The type '%.100s' cannot be deleted by force. Leave forceDeletionTypes out: a group is deleted with all that is in it.", name).At("forceDeletionTypes")
		}
	}
	return nil
}

// operationResult answers a poll of a group's deletion, to who asked for it or
// may read the group.
func (p *Provider) operationResult(w http.ResponseWriter, r *arm.Request) error {
	found, err := p.Operations.Find(r.Context(), r.Param("operationID"))
	if err != nil {
		return err
	}
	if err := CheckOperation(r, p.Tokens, found); err != nil {
		return err
	}
	return operation.WriteResult(w, r, found, http.StatusOK)
}

func asARM(err error, target **arm.Error) bool { return errors.As(err, target) }

// hasPrefixFold is strings.HasPrefix regardless of case.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
