// Package version owns "berth version".
package version

import (
	"runtime"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth version" of a build.
func NewCommand(s *session.Session, build string) *cobra.Command {
	command := &cobra.Command{
		Use:   "version",
		Short: "Show which build of Berth this is",
		Args:  cobra.NoArgs,
		Example: `  berth version
  berth version --query berth --output tsv`,
		RunE: func(*cobra.Command, []string) error {
			return s.Print(describe(build), output.Columns{})
		},
	}
	s.AddFlags(command)
	return command
}

// describe says what is known of the build.
func describe(build string) map[string]string {
	return map[string]string{"berth": build, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
}
