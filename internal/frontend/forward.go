package frontend

import (
	"bytes"
	"net/http"
	"net/url"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

// answered keeps what a handler answers.
type answered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answered) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answered) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answered) Write(content []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(content)
}

// match finds the route of a request. Whether a resource is there, a HEAD asks
// of each that can be read: the answer is 204 and has no body.
func (f *frontend) match(r *arm.Request) (*arm.Route, map[string]string, error) {
	route, params, err := f.router.Match(r.Method, r.URL.EscapedPath())
	if err == nil || r.Method != http.MethodHead {
		return route, params, err
	}
	read, readParams, unreadable := f.router.Match(http.MethodGet, r.URL.EscapedPath())
	if unreadable != nil || read.Public || readParams["resourceGroup"] == "" {
		return route, params, err
	}
	head := *read
	head.Handle = func(w http.ResponseWriter, r *arm.Request) error {
		if err := read.Handle(&answered{header: http.Header{}}, r); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return &head, readParams, nil
}

// forward lets the route of another path answer within a request: the caller is
// the same, its permission is not asked for, and it is in the newest api-version.
// Conditions on the outer resource are none on the inner one.
func (f *frontend) forward(r *arm.Request, method, path string, body []byte) (resources.Answer, error) {
	route, params, err := f.router.Match(method, (&url.URL{Path: path}).EscapedPath())
	if err != nil {
		return resources.Answer{}, err
	}
	inner := *r
	inner.Request = r.Request.Clone(r.Context())
	inner.Method, inner.URL.Path, inner.URL.RawPath, inner.URL.RawQuery = method, path, "", ""
	inner.Header.Del("If-Match")
	inner.Header.Del("If-None-Match")
	inner.Route, inner.Params, inner.Body, inner.APIVersion = route, params, body, newest(route.Versions.Versions)
	recorded := &answered{header: http.Header{}}
	if err := route.Handle(recorded, &inner); err != nil {
		return resources.Answer{}, err
	}
	return resources.Answer{Status: recorded.status, Body: recorded.body.Bytes()}, nil
}

func newest(versions []string) string {
	latest := ""
	for _, version := range versions {
		latest = max(latest, version)
	}
	return latest
}
