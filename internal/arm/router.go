package arm

import (
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Handler answers a request, or returns the error to answer with.
type Handler func(w http.ResponseWriter, r *Request) error

// Route is one line in the list of what the service answers.
type Route struct {
	// Method and Pattern select it. Literal segments of the pattern match in any
	// case, "{name}" matches one segment.
	Method, Pattern string
	// Versions are the api-versions that it knows.
	Versions *VersionTable
	// Action is the permission that the caller needs on the request's scope.
	// Empty: any principal may call, and the handler answers only with what the
	// principal may see.
	Action string
	// Public marks the few routes that a caller needs to get a token at all.
	Public bool
	// Handle answers.
	Handle Handler
	// NotBuilt says what is missing, of a route that is listed so that a caller
	// is told. Such a route needs no Handle: the router answers NotImplemented.
	NotBuilt string

	segments []string
}

// Router finds the route of a request.
type Router struct {
	routes []Route
}

// NewRouter makes a router; of two routes that match, the one first in the
// list wins. Two equal patterns for one method are a mistake.
func NewRouter(routes []Route) (*Router, error) {
	router := &Router{routes: append([]Route(nil), routes...)}
	seen := map[string]bool{}
	for i := range router.routes {
		route := &router.routes[i]
		route.segments = splitPath(route.Pattern)
		if route.NotBuilt != "" {
			route.Handle = func(http.ResponseWriter, *Request) error { return NotImplemented(route.NotBuilt) }
		}
		key := route.Method
		for _, s := range route.segments {
			if parameter(s) != "" {
				s = "{}"
			}
			key += "/" + strings.ToLower(s)
		}
		if seen[key] {
			return nil, fmt.Errorf("the route %s %s is listed twice", route.Method, route.Pattern)
		}
		seen[key] = true
		if !route.Public && route.Versions == nil {
			return nil, fmt.Errorf("the route %s %s names no api-versions", route.Method, route.Pattern)
		}
	}
	return router, nil
}

// Match finds the route of a method and an escaped path. Without one it says
// whether another method would have been right.
func (rt *Router) Match(method, escapedPath string) (*Route, map[string]string, error) {
	segments := splitPath(escapedPath)
	if err := checkSegments(segments); err != nil {
		return nil, nil, err
	}
	var allowed []string
	for i := range rt.routes {
		route := &rt.routes[i]
		params, ok := route.match(segments)
		if !ok {
			continue
		}
		if route.Method == method {
			return route, params, nil
		}
		allowed = append(allowed, route.Method)
	}
	if allowed != nil {
		sort.Strings(allowed)
		return nil, nil, NewError(http.StatusMethodNotAllowed, "MethodNotAllowed",
			"The HTTP method '%s' is not supported at '%s'. Supported: %s.", method, display(escapedPath), strings.Join(allowed, ", ")).
			With("Allow", strings.Join(allowed, ", "))
	}
	return nil, nil, NewError(http.StatusNotFound, "InvalidResourceType",
		"The path '%s' names no resource type of this service.", display(escapedPath))
}

// checkSegments refuses what could make one resource's path read as another's:
// a segment that holds a slash once it is decoded, steps up and down, and
// characters that no name has.
func checkSegments(segments []string) error {
	for _, segment := range segments {
		value, err := url.PathUnescape(segment)
		strange := func(c rune) bool { return c == '/' || c == '\\' || c == utf8.RuneError || unicode.IsControl(c) }
		if err != nil || value == "." || value == ".." || strings.ContainsFunc(value, strange) {
			return NewError(http.StatusBadRequest, "InvalidRequestUri", "The path has a segment that no resource's name may be: '%s'.", display(segment))
		}
	}
	return nil
}

func (route *Route) match(segments []string) (map[string]string, bool) {
	if len(segments) != len(route.segments) {
		return nil, false
	}
	params := map[string]string{}
	for i, pattern := range route.segments {
		value, err := url.PathUnescape(segments[i])
		if err != nil {
			return nil, false
		}
		if name := parameter(pattern); name != "" {
			params[name] = value
		} else if !strings.EqualFold(pattern, value) {
			return nil, false
		}
	}
	return params, true
}

// display shortens a path to what fits into a message.
func display(path string) string {
	if len(path) > 300 {
		return path[:300] + "…"
	}
	return path
}

func splitPath(path string) []string {
	var segments []string
	for _, s := range strings.Split(path, "/") {
		if s != "" {
			segments = append(segments, s)
		}
	}
	return segments
}

// parameter is the name of a segment "{name}", "" of a literal one.
func parameter(segment string) string {
	if strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") {
		return segment[1 : len(segment)-1]
	}
	return ""
}
