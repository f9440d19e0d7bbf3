package nodeprofile

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestEveryNameOfAResourceGroupMakesALabelValue(t *testing.T) {
	for name, want := range map[string]string{
		"MC_group_demo_local":          "MC_group_demo_local",
		"MC_(a)":                       "MC__a",
		"MC_größe":                     "MC_gr__e",
		strings.Repeat("a", 90):        strings.Repeat("a", 63),
		strings.Repeat("a", 62) + "_b": strings.Repeat("a", 62),
	} {
		got := labelValue(name)
		if got != want || len(validation.IsValidLabelValue(got)) > 0 {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}
