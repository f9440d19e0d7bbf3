package arm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Body is a request's body that has been read against a schema.
type Body struct {
	raw []byte
	// spelling maps the canonical path of each value to the caller's.
	spelling map[string]string
	// values are the values by canonical path.
	values map[string]any
	// Recorded are the values of refused properties, of a schema that records.
	Recorded []RecordedValue
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

// RecordedValue is a value that was asked for and that nothing acts on.
type RecordedValue struct {
	InertValue
	// Secret says that the value may not be stored; it is nil here.
	Secret bool
}

// Read parses a body and holds it against the schema. What is wrong with
// single properties goes into fields; a body that is no JSON object at all is an error.
func (s *Schema) Read(raw []byte, fields *FieldErrors) (*Body, error) {
	object, err := parseObject(raw)
	if err != nil {
		return nil, err
	}
	body := &Body{raw: raw, spelling: map[string]string{}, values: map[string]any{}}
	w := walker{body: body, fields: fields, record: s.record}
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

// Paths are the canonical paths of all values that were read.
func (b *Body) Paths() iter.Seq[string] { return maps.Keys(b.values) }

// Value is what the caller sent at a canonical path, nil if nothing. Numbers are
// of the type json.Number.
func (b *Body) Value(canonical string) any { return b.values[canonical] }

func parseObject(raw []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	err := checkStrict(raw)
	if err == nil && !utf8.Valid(raw) {
		err = errors.New("it is not encoded in UTF-8")
	}
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
