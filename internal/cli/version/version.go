// Package version owns "berth version".
package version

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth version".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:   "version",
		Short: "Show which build of Berth this is",
		Args:  cobra.NoArgs,
		Example: `  berth version
  berth version --query berth --output tsv`,
		RunE: func(*cobra.Command, []string) error {
			return s.Print(describe(debug.ReadBuildInfo()), output.Columns{})
		},
	}
	s.AddFlags(command)
	return command
}

// describe reads the build's own record: the commit where there is no release.
func describe(build *debug.BuildInfo, ok bool) map[string]string {
	version := "unknown"
	if ok {
		version = build.Main.Version
		settings := map[string]string{}
		for _, setting := range build.Settings {
			settings[setting.Key] = setting.Value
		}
		if revision := settings["vcs.revision"]; revision != "" && (version == "" || version == "(devel)") {
			version = revision[:min(12, len(revision))]
			if settings["vcs.modified"] == "true" {
				version += "-dirty"
			}
		}
	}
	return map[string]string{"berth": version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
}
