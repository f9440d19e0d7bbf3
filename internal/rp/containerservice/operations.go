package containerservice

import (
	"net/http"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/operation"
	"berth.dev/berth/internal/rp/resources"
)

func (p *Provider) findOperation(r *arm.Request) (operation.Operation, error) {
	if err := p.checkLocation(r); err != nil {
		return operation.Operation{}, err
	}
	found, err := p.Operations.Find(r.Context(), r.Param("operationID"))
	if err != nil {
		return operation.Operation{}, err
	}
	return found, resources.CheckOperation(r, p.Tokens, found)
}

// operationStatus answers a poll of Azure-AsyncOperation.
func (p *Provider) operationStatus(w http.ResponseWriter, r *arm.Request) error {
	found, err := p.findOperation(r)
	if err != nil {
		return err
	}
	return operation.WriteStatus(w, r, found)
}

// operationResult answers a poll of Location.
func (p *Provider) operationResult(w http.ResponseWriter, r *arm.Request) error {
	found, err := p.findOperation(r)
	if err != nil {
		return err
	}
	return operation.WriteResult(w, r, found, http.StatusNoContent)
}

// checkLocation refuses a region in the path that is not the install's.
func (p *Provider) checkLocation(r *arm.Request) error {
	if resources.SameLocation(r.Param("location"), p.Location) {
		return nil
	}
	return arm.NewError(http.StatusBadRequest, "LocationNotAvailableForResourceType",
		"The provided location '%.100s' is not available. The only region is '%s'.", r.Param("location"), p.Location).At("location")
}
