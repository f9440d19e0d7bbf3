package arm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Body is a request's body that has been read against a schema.
type Body struct {
	raw []byte
	// spelling maps the canonical path of each value to the caller's.
	spelling map[string]string
	// Inert are the values of inert properties, and those of refused ones that
	// name what is there anyway.
	Inert []InertValue
}

// InertValue is a value that is kept and given back.
type InertValue struct {
	// Path is the canonical path, with indices: properties.linuxProfile.adminUsername.
	Path string
	// Value is the JSON value.
	Value any
}

// Read parses a body and holds it against the schema. What is wrong with
// single properties goes into fields; a body that is no JSON object at all is an error.
func (s *Schema) Read(raw []byte, fields *FieldErrors) (*Body, error) {
	object, err := parseObject(raw)
	if err != nil {
		return nil, err
	}
	body := &Body{raw: raw, spelling: map[string]string{}}
	w := walker{body: body, fields: fields}
	w.object(s.root, object, "", "")
	return body, nil
}

// Decode fills a struct from the body. Only the types that the schema names
// are safe: Read has checked them.
func (b *Body) Decode(into any) error {
	if err := json.Unmarshal(b.raw, into); err != nil {
		return NewError(http.StatusBadRequest, CodeInvalidRequestContent,
			"The request content was invalid and could not be deserialized: '%s'.", err)
	}
	return nil
}

// Path is a canonical path in the caller's spelling; a value that the caller
// did not send has the caller's spelling as far as that goes.
func (b *Body) Path(canonical string) string {
	for cut := len(canonical); cut > 0; cut = strings.LastIndexAny(canonical[:cut], ".[") {
		if spelled, known := b.spelling[canonical[:cut]]; known {
			return spelled + canonical[cut:]
		}
	}
	return canonical
}

// Has says whether the caller sent a value other than null at a canonical path.
func (b *Body) Has(canonical string) bool {
	_, known := b.spelling[canonical]
	return known
}

func parseObject(raw []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	err := checkStrict(raw)
	if err == nil {
		err = decoder.Decode(&value)
	}
	if err == nil {
		if _, trailing := decoder.Token(); !errors.Is(trailing, io.EOF) {
			err = errors.New("there is more after the end of the JSON value")
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the body is empty or ends too early")
	}
	offset := decoder.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	object, isObject := value.(map[string]any)
	if err == nil && !isObject {
		err = errors.New("the body is not a JSON object")
	}
	if err != nil {
		return nil, NewError(http.StatusBadRequest, CodeInvalidRequestContent,
			"The request content was invalid and could not be deserialized: '%s' (near %s).", err, position(raw, offset))
	}
	return object, nil
}

// position is an offset as line and column.
func position(raw []byte, offset int64) string {
	before := raw[:min(int(offset), len(raw))]
	return fmt.Sprintf("line %d, position %d", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n'))
}

// walker holds a JSON tree against a schema.
type walker struct {
	body   *Body
	fields *FieldErrors
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
	w.body.spelling[canonical] = spelled
	switch p.Use {
	case Refused:
		if !neutral(value, p.Neutral) {
			w.fields.Add(CodeNotSupported, spelled, "The value of '%s' is not supported: %s.", spelled, p.Note)
		} else if named(value, p.Neutral) {
			w.body.Inert = append(w.body.Inert, InertValue{Path: canonical, Value: value})
		}
		return
	case Inert:
		w.body.Inert = append(w.body.Inert, InertValue{Path: canonical, Value: value})
		return
	}
	w.children(n, value, canonical, spelled)
}

func (w *walker) children(n *node, value any, canonical, spelled string) {
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
		return kind == Number || kind == Any
	case map[string]any:
		return kind == Object || kind == Map || kind == Any
	case []any:
		return kind == Array || kind == Any
	}
	return false
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
