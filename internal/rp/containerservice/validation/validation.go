// Package validation holds the rules that tie properties of the API to each
// other: what one value allows of another. What a single value has to be, the
// table in package property says; what has to do with the service's own limits
// is the resource provider's. The rules hold for values that are refused or
// recorded too, so that a body which the API would never take is told so.
package validation

import (
	"encoding/json"
	"strings"

	"berth.dev/berth/internal/arm"
)

// Values are what a body asks for, over what the resource has already.
type Values struct {
	// Get is the value at a canonical path, nil without one.
	Get func(path string) any
	// At is a canonical path in the caller's spelling.
	At func(path string) string
	// Sent says whether the body itself has a value at a path: a rule is only
	// told where the caller can mend it.
	Sent func(path string) bool
	// Fields takes what is wrong.
	Fields *arm.FieldErrors
}

// text is the string at a path, "" without one.
func (v Values) text(path string) string {
	text, _ := v.Get(path).(string)
	return text
}

// is says whether the string at a path is one of some words, in any case.
func (v Values) is(path string, words ...string) bool {
	text := v.text(path)
	for _, word := range words {
		if strings.EqualFold(text, word) {
			return true
		}
	}
	return false
}

// on says whether the boolean at a path is true.
func (v Values) on(path string) bool {
	on, _ := v.Get(path).(bool)
	return on
}

// number is the number at a path, and whether there is one.
func (v Values) number(path string) (float64, bool) {
	switch n := v.Get(path).(type) {
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	case float64:
		return n, true
	}
	return 0, false
}

// list is the list at a path.
func (v Values) list(path string) []any {
	list, _ := v.Get(path).([]any)
	return list
}

// filled says whether there is anything but an empty value at a path.
func (v Values) filled(path string) bool {
	switch value := v.Get(path).(type) {
	case nil:
		return false
	case string:
		return value != ""
	case bool:
		return value
	case []any:
		return len(value) > 0
	case map[string]any:
		return len(value) > 0
	}
	return true
}

// anySent says whether the body has one of some paths.
func (v Values) anySent(paths ...string) bool {
	for _, path := range paths {
		if v.Sent(path) {
			return true
		}
	}
	return false
}

// wrong notes a broken rule at a path, if the body has that path or another
// that the rule is about.
func (v Values) wrong(path, message string, about ...string) {
	if v.anySent(append(about, path)...) {
		v.Fields.Invalid(v.At(path), "%s", message)
	}
}

// needs notes that what a path asks for needs something else.
func (v Values) needs(path string, has bool, message string, about ...string) {
	if !has {
		v.wrong(path, message, about...)
	}
}
