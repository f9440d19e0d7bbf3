package frontend

import (
	"net/http"

	"berth.dev/berth/internal/arm"
)

// metadata tells tools where this cloud's endpoints are: an older flat shape
// for 2015-01-01, and the shape of 2022-09-01.
func (f *frontend) metadata(w http.ResponseWriter, r *arm.Request) error {
	base := r.BaseURL()
	audiences := []string{base + "/", base}
	if r.URL.Query().Get("api-version") == "2015-01-01" {
		return arm.WriteJSON(w, http.StatusOK, map[string]any{
			"galleryEndpoint": base, "graphEndpoint": base + "/graph", "portalEndpoint": base,
			"authentication": map[string]any{"loginEndpoint": base + "/adfs", "audiences": audiences},
		})
	}
	return arm.WriteJSON(w, http.StatusOK, map[string]any{
		"name": "berth", "resourceManager": base, "portal": base, "graph": base + "/graph", "graphAudience": base + "/graph",
		"microsoftGraphResourceId": base + "/graph", "gallery": base,
		"authentication": map[string]any{
			"loginEndpoint": base, "audiences": audiences, "tenant": f.config.TenantID, "identityProvider": "AAD",
		},
		"suffixes": map[string]any{},
	})
}
