package nodegroup

import (
	"net/http"
	"strings"

	"berth.dev/berth/internal/arm"
)

// instanceView says how an instance of a scale set stands.
func (p *Provider) instanceView(w http.ResponseWriter, r *arm.Request) error {
	one, err := p.named(r, instances())
	if err != nil {
		return err
	}
	if one == nil {
		return arm.ResourceNotFound(instances().id(r))
	}
	state, _ := one.properties["provisioningState"].(string)
	status := func(code, words string) object {
		return object{"code": code, "level": "Info", "displayStatus": words}
	}
	return arm.WriteJSON(w, http.StatusOK, object{"statuses": []object{
		status("ProvisioningState/"+strings.ToLower(state), "Provisioning "+strings.ToLower(state)),
		status("PowerState/"+one.power, "VM "+one.power),
	}})
}
