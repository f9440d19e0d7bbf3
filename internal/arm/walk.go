package arm

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// walker holds a JSON tree against a schema.
type walker struct {
	body   *Body
	fields *FieldErrors
	// record keeps the values of refused properties instead of refusing them.
	record bool
	// inside says that what holds the values is kept or refused as a whole, so
	// that they are only checked.
	inside bool
}

func (w *walker) object(n *node, object map[string]any, canonical, spelled string) {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	sort.Strings(keys) // so that errors come in the same order each time
	seen := map[*node]bool{}
	for _, key := range keys {
		child := n.children[strings.ToLower(key)]
		if child != nil && seen[child] {
			w.fields.malformed = true
			w.fields.Add(CodeInvalidRequestContent, join(spelled, key), "The property '%s' is there twice, in two spellings.", join(spelled, key))
			continue
		}
		seen[child] = true
		if child == nil {
			if object[key] != nil {
				w.fields.Add(CodeInvalidRequestContent, join(spelled, key),
					"The property '%s' is unknown.", join(spelled, key))
			}
			continue
		}
		w.value(child, object[key], join(canonical, child.name), join(spelled, key))
	}
}

func (w *walker) value(n *node, value any, canonical, spelled string) {
	p := n.property
	if value == nil || p.Use == ReadOnly {
		return
	}
	if !kindMatches(p.Kind, value) {
		w.fields.malformed = true
		w.fields.Add(CodeInvalidRequestContent, spelled,
			"The value of '%s' is %s; it has to be %s.", spelled, describe(value), kindName(p.Kind))
		return
	}
	w.body.spelling[canonical], w.body.values[canonical] = spelled, value
	switch {
	case w.inside:
		if w.keeps(n, value, spelled) {
			w.children(n, value, canonical, spelled)
		}
	case p.Use == Refused && neutral(value, p.Neutral):
		if named(value, p.Neutral) {
			w.body.Inert = append(w.body.Inert, InertValue{Path: canonical, Value: value})
		}
	case p.Use == Acts:
		if value == "" || w.keeps(n, value, spelled) { // an empty word is none
			w.children(n, value, canonical, spelled)
		}
	case w.checked(n, value, canonical, spelled):
		w.keep(p, InertValue{Path: canonical, Value: value}, spelled)
	}
}

// keep notes the value of an inert property, and refuses or records that of a refused one.
func (w *walker) keep(p Property, value InertValue, spelled string) {
	switch {
	case p.Use == Inert:
		w.body.Inert = append(w.body.Inert, value)
	case w.record:
		if p.Rule.Secret {
			value.Value = nil
		}
		w.body.Recorded = append(w.body.Recorded, RecordedValue{InertValue: value, Secret: p.Rule.Secret})
	default:
		w.fields.Add(CodeNotSupported, spelled, "The value of '%s' is not supported: %s.", spelled, p.Note)
	}
}

// checked says whether a value that is kept or refused as a whole, and all in
// it, is as it has to be.
func (w *walker) checked(n *node, value any, canonical, spelled string) bool {
	before := len(w.fields.details)
	w.inside = true
	if w.keeps(n, value, spelled) {
		w.children(n, value, canonical, spelled)
	}
	w.inside = false
	return len(w.fields.details) == before
}

// keeps says whether a value keeps its property's rule.
func (w *walker) keeps(n *node, value any, spelled string) bool {
	rule := n.property.Rule
	if rule.allows(value, n.pattern) {
		return true
	}
	shown := describe(value)
	if text, isText := value.(string); isText && !rule.Secret {
		shown = fmt.Sprintf("'%.100s'", text)
	}
	w.fields.Invalid(spelled, "The value of '%s' is %s; it has to be: %s.", spelled, shown, rule)
	return false
}

func (w *walker) children(n *node, value any, canonical, spelled string) {
	if n.property.Kind == Any || n.item == nil && n.property.Kind != Object {
		return
	}
	switch v := value.(type) {
	case map[string]any:
		if n.property.Kind == Object {
			w.object(n, v, canonical, spelled)
			return
		}
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		for _, key := range keys {
			w.value(n.item, v[key], join(canonical, key), join(spelled, key))
		}
	case []any:
		for i, item := range v {
			index := "[" + strconv.Itoa(i) + "]"
			if item == nil {
				w.fields.malformed = true
				w.fields.Add(CodeInvalidRequestContent, spelled+index, "The value of '%s' is null.", spelled+index)
				continue
			}
			w.value(n.item, item, canonical+index, spelled+index)
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func kindMatches(kind Kind, value any) bool {
	switch v := value.(type) {
	case string:
		return kind == String || kind == Any
	case bool:
		return kind == Boolean || kind == Any
	case json.Number:
		if kind == Integer {
			n, err := v.Int64()
			return err == nil && n >= math.MinInt32 && n <= math.MaxInt32
		}
		_, err := v.Float64() // one beyond its range no client could read when it is given back
		return (kind == Number || kind == Any) && err == nil
	case map[string]any:
		return kind == Object || kind == Map || kind == Any && finite(v)
	case []any:
		return kind == Array || kind == Any && finite(v)
	}
	return false
}

// finite says whether every number in a tree that no line looks into is one.
func finite(tree any) bool {
	switch v := tree.(type) {
	case json.Number:
		_, err := v.Float64()
		return err == nil
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return !finite(item) })
	case map[string]any:
		for _, item := range v {
			if !finite(item) {
				return false
			}
		}
	}
	return true
}

func kindName(kind Kind) string {
	switch kind {
	case String:
		return "a string"
	case Integer:
		return "an integer of 32 bits"
	case Number:
		return "a number"
	case Boolean:
		return "true or false"
	case Array:
		return "an array"
	default:
		return "an object"
	}
}

func describe(value any) string {
	switch v := value.(type) {
	case string:
		return "a string"
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return "the number " + display(v.String())
	case []any:
		return "an array"
	default:
		return "an object"
	}
}

// named says whether a value is one of those that a property allows by name.
func named(value any, allowed []any) bool {
	switch v := value.(type) {
	case string:
		return slices.ContainsFunc(allowed, func(a any) bool {
			s, ok := a.(string)
			return ok && strings.EqualFold(s, v)
		})
	case bool:
		return slices.Contains(allowed, any(v))
	case json.Number:
		f, err := v.Float64()
		return err == nil && slices.Contains(allowed, any(f))
	}
	return false
}

// neutral says whether a value asks for nothing: it is one of those allowed by
// name, it is empty, or all below it asks for nothing.
func neutral(value any, allowed []any) bool {
	if named(value, allowed) {
		return true
	}
	switch v := value.(type) {
	case string:
		return v == ""
	case bool:
		return !v && !slices.Contains(allowed, any(true))
	case json.Number:
		f, err := v.Float64()
		return err == nil && f == 0
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return item != nil && !neutral(item, allowed) })
	case map[string]any:
		for _, item := range v {
			if item != nil && !neutral(item, allowed) {
				return false
			}
		}
	}
	return true
}
