package app

import (
	"runtime/debug"
	"testing"
)

func TestBuildsWithoutAReleaseAreNamedByTheirCommit(t *testing.T) {
	commit := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}}
	tests := []struct {
		name  string
		build debug.BuildInfo
		ok    bool
		want  string
	}{
		{"a release", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: commit}, true, "v1.2.3"},
		{"a checkout", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: commit}, true, "0123456789ab-dirty"},
		{"no commit", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, true, "(devel)"},
		{"no record", debug.BuildInfo{}, false, "unknown"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := recorded(&test.build, test.ok); got != test.want {
				t.Errorf("recorded() = %q, want %q", got, test.want)
			}
		})
	}
}
