package arm

import (
	"net/http"
	"regexp"
	"strings"
)

// maxFilter is the longest $filter that is read.
const maxFilter = 2000

// Term is one condition of a $filter: "name eq 'value'", or a function,
// "atScope()", "assignedTo('value')" or "substringof('value', name)".
type Term struct {
	// Name is the property's or the function's name as the caller spells it.
	Name string
	// Function says that it is a function.
	Function bool
	// Value is what stands between the quotes, "" without any.
	Value string
	// Property is what a function of two arguments looks at.
	Property string
}

// Filter reads the $filter of a request: terms that "and" joins, the part of
// OData that ARM's own lists know. Without one it is nil.
func (r *Request) Filter() ([]Term, error) {
	return ParseFilter(r.URL.Query().Get("$filter"))
}

// ParseFilter reads a $filter. A quote within a value is doubled.
func ParseFilter(filter string) ([]Term, error) {
	rest := strings.TrimSpace(filter)
	if rest == "" {
		return nil, nil
	}
	if len(rest) > maxFilter {
		return nil, badFilter(filter)
	}
	const quoted = `'((?:[^']|'')*)'`
	term := regexp.MustCompile(`^(?i:([a-z]+)\s+eq\s+` + quoted + `|([a-z]+)\(\s*(?:` + quoted + `(?:\s*,\s*([a-z]+))?)?\s*\))(?:\s+(?i:and)\s+|\s*$)`)
	var terms []Term
	for rest != "" {
		match := term.FindStringSubmatch(rest)
		if match == nil {
			return nil, badFilter(filter)
		}
		found := Term{Name: match[1], Value: match[2]}
		if match[3] != "" {
			found = Term{Name: match[3], Function: true, Value: match[4], Property: match[5]}
		}
		found.Value = strings.ReplaceAll(found.Value, "''", "'")
		terms = append(terms, found)
		rest = rest[len(match[0]):]
	}
	return terms, nil
}

// Is says whether a term is about a name, as a function or as a property.
func (t Term) Is(name string, function bool) bool {
	return t.Function == function && strings.EqualFold(t.Name, name)
}

// UnsupportedFilter is the answer for a term that a list does not know.
func UnsupportedFilter(t Term, supported string) error {
	return NewError(http.StatusBadRequest, "UnsupportedQuery",
		"The filter '%s' is not supported. Supported: %s.", display(t.Name), supported).At("$filter")
}

func badFilter(filter string) error {
	return NewError(http.StatusBadRequest, "InvalidFilterInQueryString",
		"The filter '%s' could not be read: it has to be terms like name eq 'value' or atScope(), joined by and.", display(filter)).At("$filter")
}
