package resources

import (
	"net/http"
	"strings"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/rp/operation"
)

// CheckOperation lets the principal that started an operation poll it, and
// whoever may read the resource that it works on. An operation of another
// subscription than the path's does not exist.
func CheckOperation(r *arm.Request, tokens *identity.Service, o operation.Operation) error {
	if !hasPrefixFold(o.ResourceID, "/subscriptions/"+r.Param("subscriptionID")+"/") {
		return arm.NewError(http.StatusNotFound, "OperationNotFound", "The operation '%.64s' was not found.", o.ID)
	}
	if strings.EqualFold(o.Caller, r.Principal.ObjectID) {
		return nil
	}
	access, err := tokens.Access(r.Context(), r.Principal)
	if err != nil {
		return err
	}
	id, err := arm.ParseResourceID(o.ResourceID)
	if err != nil {
		return err
	}
	action := id.Type() + "/read"
	if id.Provider == "" {
		action = "Microsoft.Resources/subscriptions/resourceGroups/read"
	}
	return access.Check(action, o.ResourceID)
}
