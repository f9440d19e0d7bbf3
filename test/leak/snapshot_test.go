package leak

import (
	"slices"
	"testing"
)

func TestDiffNamesWhatIsNewGoneAndChanged(t *testing.T) {
	before := Snapshot{"link": {"a": "", "b": ""}, "sysctl": {"vm/x": "1"}}
	after := Snapshot{"link": {"b": "", "c": ""}, "sysctl": {"vm/x": "2"}}
	want := []string{`changed: sysctl vm/x from "1" to "2"`, "gone: link a", "left behind: link c "}
	if got := Diff(before, after); !slices.Equal(got, want) {
		t.Errorf("Diff() = %q, want %q", got, want)
	}
}

func TestAnInstanceOwnsOnlyWhatCarriesItsName(t *testing.T) {
	instance := Instance{ID: "ab3d", Home: "/srv/berth"}
	for name, want := range map[string]bool{
		"berth-ab3d-edge": true, "berthab3d": true, "/srv/berth/machines/x/disk": true,
		"berth-ab3e-edge": false, "xab3d": false, "/srv/other": false,
	} {
		if instance.owns(name) != want {
			t.Errorf("owns(%q) = %v", name, !want)
		}
	}
	if (Instance{}).owns("berth-ab3d-edge") {
		t.Error("the zero instance owns something")
	}
}
