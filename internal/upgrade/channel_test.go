package upgrade

import (
	"testing"

	"berth.dev/berth/internal/release"
)

func TestAChannelLeadsToItsVersionAMinorAtATime(t *testing.T) {
	catalog := []release.Version{
		{Version: "1.33.2", Minor: "1.33"}, {Version: "1.33.10", Minor: "1.33"}, {Version: "1.34.3", Minor: "1.34"}, {Version: "1.34.1", Minor: "1.34"},
		{Version: "1.35.4", Minor: "1.35"}, {Version: "1.36.3", Minor: "1.36"}, {Version: "1.37.0", Minor: "1.37", Preview: true},
	}
	gap := []release.Version{{Version: "1.33.2", Minor: "1.33"}, {Version: "1.35.4", Minor: "1.35"}, {Version: "1.36.3", Minor: "1.36"}}
	for name, c := range map[string]struct {
		channel, from string
		catalog       []release.Version
		target, step  string
	}{
		"none stays":                               {"none", "1.33.2", catalog, "1.33.2", "1.33.2"},
		"no channel stays":                         {"", "1.33.2", catalog, "1.33.2", "1.33.2"},
		"patch takes the newest by number":         {"patch", "1.33.2", catalog, "1.33.10", "1.33.10"},
		"patch stays on the newest":                {"patch", "1.33.10", catalog, "1.33.10", "1.33.10"},
		"patch of a minor that left the catalog":   {"patch", "1.32.1", catalog, "1.32.1", "1.32.1"},
		"stable is the minor before the newest":    {"stable", "1.34.1", catalog, "1.35.4", "1.35.4"},
		"stable goes over the minor between":       {"stable", "1.33.2", catalog, "1.35.4", "1.34.3"},
		"stable does not go back from the newest":  {"stable", "1.36.3", catalog, "1.36.3", "1.36.3"},
		"rapid is the newest that is no preview":   {"rapid", "1.35.4", catalog, "1.36.3", "1.36.3"},
		"rapid goes over every minor between":      {"rapid", "1.33.10", catalog, "1.36.3", "1.34.3"},
		"a preview that runs is not gone back on":  {"rapid", "1.37.0", catalog, "1.37.0", "1.37.0"},
		"a gap in the catalog leaves no way":       {"rapid", "1.33.2", gap, "1.36.3", "1.33.2"},
		"stable without a minor before the newest": {"stable", "1.36.3", gap[2:], "1.36.3", "1.36.3"},
	} {
		t.Run(name, func(t *testing.T) {
			target := Target(c.channel, c.from, c.catalog)
			if step := Step(c.from, target, c.catalog); target != c.target || step != c.step {
				t.Errorf("target %s, step %s; want %s, %s", target, step, c.target, c.step)
			}
		})
	}
}
