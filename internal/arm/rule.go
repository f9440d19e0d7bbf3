package arm

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Rule is what a value has to be, beyond its kind; the zero Rule allows all.
// It binds refused properties too, because an operator may have their values recorded.
type Rule struct {
	// Values are the words that a string may be, in any case.
	Values []string
	// Least and Most bound a number, if Most is not 0.
	Least, Most float64
	// Pattern is what a string has to match, Form the same in words.
	Pattern, Form string
	// Items is the most entries of a list or map, if it is not 0.
	Items int
	// Secret says that the value is neither stored nor given back.
	Secret bool
}

// OneOf allows some words, in any case.
func (p Property) OneOf(words ...string) Property {
	p.Rule.Values = words
	return p
}

// Between bounds a number.
func (p Property) Between(least, most float64) Property {
	p.Rule.Least, p.Rule.Most = least, most
	return p
}

// Like holds a string against a regular expression; form is the same in words.
func (p Property) Like(pattern, form string) Property {
	p.Rule.Pattern, p.Rule.Form = pattern, form
	return p
}

// AtMost bounds the entries of a list or map.
func (p Property) AtMost(items int) Property {
	p.Rule.Items = items
	return p
}

// WriteOnly marks a secret.
func (p Property) WriteOnly() Property {
	p.Rule.Secret = true
	return p
}

// String is the rule in words, "" of one that allows all.
func (r Rule) String() string {
	switch {
	case len(r.Values) > 0:
		return "one of " + strings.Join(r.Values, ", ")
	case r.Most != 0:
		return strconv.FormatFloat(r.Least, 'f', -1, 64) + " to " + strconv.FormatFloat(r.Most, 'f', -1, 64)
	case r.Form != "":
		return r.Form
	case r.Items == 1:
		return "at most one entry"
	case r.Items != 0:
		return fmt.Sprintf("at most %d entries", r.Items)
	}
	return ""
}

// allows says whether a value of the right kind keeps the rule.
func (r Rule) allows(value any, pattern *regexp.Regexp) bool {
	switch v := value.(type) {
	case string:
		if len(r.Values) > 0 {
			return oneOf(r.Values, v)
		}
		return pattern == nil || pattern.MatchString(v)
	case json.Number:
		f, err := v.Float64()
		return err == nil && (r.Most == 0 || f >= r.Least && f <= r.Most)
	case []any:
		return r.Items == 0 || len(v) <= r.Items
	case map[string]any:
		return r.Items == 0 || len(v) <= r.Items
	}
	return true
}

func oneOf(words []string, value string) bool {
	for _, word := range words {
		if strings.EqualFold(word, value) {
			return true
		}
	}
	return false
}
