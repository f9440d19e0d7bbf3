package containerservice

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// unsupportedHeader lists, in answers about a cluster or pool, what is kept and
// given back though nothing acts on it. No body of Microsoft's gains anything.
const unsupportedHeader = "x-berth-unsupported-properties"

// maxUnsupportedHeader is the most bytes of paths in the header; some clients
// refuse long ones.
const maxUnsupportedHeader = 4 << 10

// recordUnsupported puts the values of refused properties beside the inert ones
// and lists their paths. A path that the body names with a value that is
// supported is taken off the list.
func recordUnsupported(d *draft, kept values, scopeOf func(path string) (scope, rest string)) {
	paths := d.next.UnsupportedPaths()
	inert := map[string]bool{}
	for _, value := range d.body.Inert {
		inert[value.Path] = true
	}
	for path := range d.body.Paths() {
		scope, rest := scopeOf(path)
		if i := slices.Index(paths[scope], rest); i >= 0 {
			paths[scope] = slices.Delete(paths[scope], i, i+1)
			if !inert[path] {
				delete(kept[scope], rest)
			}
		}
	}
	for _, value := range d.body.Recorded {
		scope, rest := scopeOf(value.Path)
		if scope == "" {
			continue
		}
		if !value.Secret && !strings.Contains(rest, "[") {
			kept.set(scope, rest, value.Value)
		}
		paths[scope] = append(paths[scope], rest)
	}
	for scope := range paths {
		slices.Sort(paths[scope])
		paths[scope] = slices.Compact(paths[scope])
		if len(paths[scope]) == 0 || !hasScope(d.next, scope) {
			delete(paths, scope)
		}
	}
	if len(paths) == 0 {
		delete(d.next.Annotations, containerservicev1alpha1.UnsupportedAnnotation)
		return
	}
	content, _ := json.Marshal(paths) // lists of strings always encode
	annotate(d.next, containerservicev1alpha1.UnsupportedAnnotation, string(content))
}

// tellUnsupported sets the header that lists a cluster's unsupported
// properties, or those of one of its pools.
func tellUnsupported(w http.ResponseWriter, paths []string) {
	shown, length := 0, 0
	for shown < len(paths) && length+len(paths[shown]) < maxUnsupportedHeader {
		length += len(paths[shown]) + 2
		shown++
	}
	list := strings.Join(paths[:shown], ", ")
	if shown < len(paths) {
		list += fmt.Sprintf(", and %d more", len(paths)-shown)
	}
	if list != "" {
		w.Header().Set(unsupportedHeader, list)
	}
}
