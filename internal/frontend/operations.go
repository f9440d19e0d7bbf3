package frontend

import (
	"net/http"
	"slices"
	"sort"
	"strings"

	"berth.dev/berth/internal/arm"
)

// actionBody is an action on the wire, as role definitions name it.
type actionBody struct {
	Name         string        `json:"name"`
	IsDataAction bool          `json:"isDataAction"`
	Display      actionDisplay `json:"display"`
	Origin       string        `json:"origin"`
}

type actionDisplay struct {
	Provider    string `json:"provider"`
	Resource    string `json:"resource"`
	Operation   string `json:"operation"`
	Description string `json:"description"`
}

// operationLists are the routes that list each namespace's actions. They are
// made out of all other routes, so that no action is missing from its list.
// Actions are no secret: whoever has a token may read them.
func operationLists(routes []arm.Route, location string) []arm.Route {
	actions, versions := map[string]map[string]bool{}, map[string]map[string]bool{}
	for _, route := range routes {
		namespace, _, found := strings.Cut(route.Action, "/")
		if !found {
			continue
		}
		if actions[namespace] == nil {
			actions[namespace] = map[string]bool{namespace + "/register/action": true, namespace + "/unregister/action": true}
			versions[namespace] = map[string]bool{}
		}
		actions[namespace][route.Action] = true
		if route.Versions != nil {
			for _, version := range route.Versions.Versions {
				versions[namespace][version] = true
			}
		}
	}
	var lists []arm.Route
	for _, namespace := range keysOf(actions) {
		list := arm.List[actionBody]{Value: []actionBody{}}
		for _, action := range keysOf(actions[namespace]) {
			list.Value = append(list.Value, describe(namespace, action))
		}
		lists = append(lists, arm.Route{
			Method: http.MethodGet, Pattern: "/providers/" + namespace + "/operations",
			Versions: &arm.VersionTable{ResourceType: "operations", Location: location, Versions: keysOf(versions[namespace])},
			Handle:   func(w http.ResponseWriter, _ *arm.Request) error { return arm.WriteJSON(w, http.StatusOK, list) },
		})
	}
	return lists
}

// describe says in words what an action is: namespace/type.../verb, or
// namespace/type.../name/action.
func describe(namespace, action string) actionBody {
	segments := strings.Split(strings.TrimPrefix(action, namespace+"/"), "/")
	verb := segments[len(segments)-1]
	segments = segments[:len(segments)-1]
	if verb == "action" && len(segments) > 0 {
		verb = segments[len(segments)-1]
		segments = segments[:len(segments)-1]
	}
	resource := strings.Join(segments, "/")
	words := strings.TrimSpace(verb + " " + resource)
	return actionBody{Name: action, Origin: "user,system", Display: actionDisplay{
		Provider: namespace, Resource: resource, Operation: words, Description: "Allows to call " + words + ".",
	}}
}

func keysOf[V any](set map[string]V) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return slices.Clip(keys)
}
