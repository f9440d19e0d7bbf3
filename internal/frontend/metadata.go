package frontend

import (
	"net/http"

	"berth.dev/berth/internal/arm"
)

// The api-versions at which the shape of the endpoints' metadata changes.
const (
	flatMetadata   = "2015-01-01" // one flat object, which "az cloud register" reads
	singleMetadata = "2022-09-01" // one cloud, which Terraform reads; between the two a list of clouds
)

// metadata tells tools where this cloud's endpoints are, in the three shapes
// that the api-versions have. Where it is az that reads, the login endpoint
// ends in /adfs: else az would ask the public cloud whether this authority exists.
func (f *frontend) metadata(w http.ResponseWriter, r *arm.Request) error {
	base := r.BaseURL()
	audiences := []string{base + "/", base}
	version := r.URL.Query().Get("api-version")
	if version == flatMetadata {
		return arm.WriteJSON(w, http.StatusOK, map[string]any{
			"galleryEndpoint": base, "graphEndpoint": base + "/graph", "portalEndpoint": base,
			"authentication": map[string]any{"loginEndpoint": base + "/adfs", "audiences": audiences},
		})
	}
	authentication := map[string]any{
		"loginEndpoint": base, "audiences": audiences, "tenant": f.config.TenantID, "identityProvider": "AAD",
	}
	cloud := map[string]any{
		"name": "berth", "resourceManager": base, "portal": base, "graph": base + "/graph", "graphAudience": base + "/graph",
		"microsoftGraphResourceId": base + "/graph", "gallery": base,
		"authentication": authentication, "suffixes": map[string]any{},
	}
	if version != "" && version < singleMetadata {
		authentication["loginEndpoint"], authentication["identityProvider"] = base+"/adfs", "ADFS"
		return arm.WriteJSON(w, http.StatusOK, []any{cloud})
	}
	return arm.WriteJSON(w, http.StatusOK, cloud)
}
