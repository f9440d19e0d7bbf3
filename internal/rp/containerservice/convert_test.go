package containerservice

import (
	"strings"
	"testing"
)

func TestTheDefaultDNSPrefixIsThatOfTheCommandLine(t *testing.T) {
	for name, want := range map[string]string{
		"demo":                "demo-my-group-222222",
		"1demo":               "a1demo-my-group-222222",
		"with_under-and-more": "withunder--my-group-222222",
	} {
		got := defaultDNSPrefix(ClusterID("22222222-2222-4222-8222-222222222222", "my-group", name))
		if got != want {
			t.Errorf("%s has the prefix %s, want %s", name, got, want)
		}
	}
}

func TestApiVersionsAreInOrderAndNamedOnce(t *testing.T) {
	versions := apiVersions()
	for i := 1; i < len(versions); i++ {
		if strings.Compare(versions[i-1], versions[i]) >= 0 {
			t.Errorf("%s comes before %s", versions[i-1], versions[i])
		}
	}
}
