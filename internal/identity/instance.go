package identity

import (
	"net/http"
	"net/url"
	"strings"

	"berth.dev/berth/internal/arm"
)

// instanceDiscovery tells a client whether an authority is one that this
// service vouches for, which is itself alone, and where its discovery document is.
func (s *Service) instanceDiscovery(w http.ResponseWriter, r *arm.Request) error {
	base := r.BaseURL()
	own, err := url.Parse(base)
	if err != nil {
		return err
	}
	asked, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil || asked.Scheme != "https" || !strings.EqualFold(asked.Host, own.Host) {
		return s.writeOAuthError(w, r, oauthError{status: http.StatusBadRequest, code: "invalid_instance", number: 50049,
			description: "AADSTS50049: Unknown or invalid instance."})
	}
	return arm.WriteJSON(w, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": base + "/" + s.options.TenantID + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata":                  []map[string]any{{"preferred_network": own.Host, "preferred_cache": own.Host, "aliases": []string{own.Host}}},
	})
}
