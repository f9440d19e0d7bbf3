package frontend

import (
	"net/http"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/containerservice"
)

// RoutesOf is the list of routes that a handler was made of.
func RoutesOf(handler http.Handler) ([]arm.Route, error) {
	clusters, err := containerservice.NewProvider(containerservice.Options{})
	if err != nil {
		return nil, err
	}
	return handler.(*frontend).routes(clusters), nil
}
