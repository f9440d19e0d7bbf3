package frontend_test

import (
	"slices"
	"strings"
	"testing"
)

func TestAuthorizedRangesAreTakenShownAndLifted(t *testing.T) {
	r := made(t)
	put := func(value string) answer {
		t.Helper()
		a := r.call("PUT", clusterPath, `{"location":"local","properties":{"apiServerAccessProfile":{"authorizedIPRanges":`+value+`}}}`)
		if a.status == 200 {
			r.finish()
		}
		return a
	}
	if a := put(`["203.0.113.0/24","198.51.100.7","198.51.100.7/32"]`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if got := r.cluster().Spec.AuthorizedIPRanges; !slices.Equal(got, []string{"203.0.113.0/24", "198.51.100.7/32"}) {
		t.Errorf("the ranges are %v", got)
	}
	if shown := r.call("GET", clusterPath, ""); !strings.Contains(shown.raw, `"authorizedIPRanges":["203.0.113.0/24","198.51.100.7/32"]`) {
		t.Errorf("shown as %s", shown.raw)
	}
	check(t, put(`["203.0.113.1/24"]`), want{400, "InvalidParameter", "properties.apiServerAccessProfile.authorizedIPRanges[0]", "bits set beyond"})
	check(t, put(`["fd00::/8"]`), want{400, "InvalidParameter", "properties.apiServerAccessProfile.authorizedIPRanges[0]", "not an IPv4 range"})
	many := `["10.0.0.0/32"` + strings.Repeat(`,"10.0.0.0/32"`, 200) + `]`
	check(t, put(many), want{400, "InvalidParameter", "properties.apiServerAccessProfile.authorizedIPRanges", "200"})
	if got := r.cluster().Spec.AuthorizedIPRanges; len(got) != 2 {
		t.Errorf("refused writes left %v", got)
	}
	if a := put(`[]`); a.status != 200 || len(r.cluster().Spec.AuthorizedIPRanges) > 0 {
		t.Errorf("an empty list: %d, %v", a.status, r.cluster().Spec.AuthorizedIPRanges)
	}
}
