package identity

import (
	"net/http"

	"berth.dev/berth/internal/arm"
)

// Routes are the public routes of the token service: without them nobody could
// get a token. The routes under /adfs are for clients that would otherwise ask
// the public cloud whether this authority exists.
func (s *Service) Routes() []arm.Route {
	return []arm.Route{
		{Method: http.MethodGet, Pattern: "/adfs/.well-known/openid-configuration", Public: true, Handle: s.endpoint(discoveryPath)},
		{Method: http.MethodGet, Pattern: "/adfs/discovery/keys", Public: true, Handle: s.endpoint(keysPath)},
		{Method: http.MethodPost, Pattern: "/adfs/oauth2/token", Public: true, Handle: s.endpoint(tokenPath)},
		{Method: http.MethodGet, Pattern: "/common/discovery/instance", Public: true, Handle: s.instanceDiscovery},
		{Method: http.MethodGet, Pattern: "/{tenant}/v2.0/.well-known/openid-configuration", Public: true, Handle: s.endpoint(discoveryPath)},
		{Method: http.MethodGet, Pattern: "/{tenant}/.well-known/openid-configuration", Public: true, Handle: s.endpoint(discoveryPath)},
		{Method: http.MethodGet, Pattern: "/{tenant}/discovery/v2.0/keys", Public: true, Handle: s.endpoint(keysPath)},
		{Method: http.MethodPost, Pattern: "/{tenant}/oauth2/v2.0/token", Public: true, Handle: s.endpoint(tokenPath)},
		{Method: http.MethodPost, Pattern: "/{tenant}/oauth2/token", Public: true, Handle: s.endpoint(tokenPath)},
	}
}
