package arm

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAFilterIsReadAsTheTermsThatItJoins(t *testing.T) {
	for filter, want := range map[string][]Term{
		"":                         nil,
		"  ":                       nil,
		"atScope()":                {{Name: "atScope", Function: true}},
		"principalId eq 'x'":       {{Name: "principalId", Value: "x"}},
		"roleName eq 'It''s mine'": {{Name: "roleName", Value: "It's mine"}},
		"roleName EQ 'a and b'":    {{Name: "roleName", Value: "a and b"}},
		"atScope() and assignedTo('{1}') And type eq ''": {{Name: "atScope", Function: true}, {Name: "assignedTo", Function: true, Value: "{1}"}, {Name: "type"}},
	} {
		got, err := ParseFilter(filter)
		if err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%q: %v %s", filter, err, cmp.Diff(want, got))
		}
	}
	for _, filter := range []string{"x", "a eq b", "a eq 'b", "a eq 'b' or c eq 'd'", "a eq 'b' and", "and", "atScope", "a eq 'b'c eq 'd'", "atScope()'", "a ne 'b'"} {
		if terms, err := ParseFilter(filter); err == nil {
			t.Errorf("%q is read as %v", filter, terms)
		}
	}
}

func FuzzAFilterNeverPanicsAndIsRefusedWith400(f *testing.F) {
	for _, seed := range []string{"atScope()", "principalId eq 'x'", "a eq '''' and b()", "tagName eq 'a' and tagValue eq 'b'", "a eq 'b' and"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		if _, err := ParseFilter(filter); err != nil {
			var answer *Error
			if !errors.As(err, &answer) || answer.Status != http.StatusBadRequest {
				t.Errorf("%q: %v", filter, err)
			}
		}
	})
}
