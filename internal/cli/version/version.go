// Package version owns "berth version".
package version

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth version". linked is what the build was linked with,
// empty if with nothing.
func NewCommand(s *session.Session, linked string) *cobra.Command {
	command := &cobra.Command{
		Use:   "version",
		Short: "Show which build of Berth this is",
		Args:  cobra.NoArgs,
		Example: `  berth version
  berth version --query berth --output tsv`,
		RunE: func(*cobra.Command, []string) error {
			return s.Print(describe(linked), output.Columns{})
		},
	}
	s.AddFlags(command)
	return command
}

// describe says what is known of the build.
func describe(linked string) map[string]string {
	version := linked
	if version == "" {
		version = recorded(debug.ReadBuildInfo())
	}
	return map[string]string{"berth": version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
}

// recorded is the version in the build's own record: the commit where there is
// no release.
func recorded(build *debug.BuildInfo, ok bool) string {
	if !ok {
		return "unknown"
	}
	settings := map[string]string{}
	for _, setting := range build.Settings {
		settings[setting.Key] = setting.Value
	}
	revision := settings["vcs.revision"]
	if build.Main.Version != "" && build.Main.Version != "(devel)" || revision == "" {
		return build.Main.Version
	}
	if revision = revision[:min(12, len(revision))]; settings["vcs.modified"] == "true" {
		revision += "-dirty"
	}
	return revision
}
