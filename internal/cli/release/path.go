package release

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/release"
)

func newPathCommand() *cobra.Command {
	var name string
	command := &cobra.Command{
		Use:   "path PROGRAM",
		Short: "Print where a program of a built release is, e.g. kubectl",
		Example: `  $(berth release path kubectl) get nodes
  berth release path etcd --version 1.36`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			version, ok := release.Resolve(name)
			if !ok {
				return fmt.Errorf("version %q is not in the catalog: see berth release list", name)
			}
			store, err := release.Open(release.Options{})
			if err != nil {
				return err
			}
			artifacts, built := store.Lookup(version.Version)
			if !built {
				return fmt.Errorf("kubernetes %s is not built: run berth release build %s", version.Version, version.Version)
			}
			path, known := artifacts.Binaries[arguments[0]]
			if !known {
				programs := slices.Sorted(maps.Keys(artifacts.Binaries))
				return fmt.Errorf("no program %q in a release: there are %s", arguments[0], strings.Join(programs, ", "))
			}
			_, err = fmt.Fprintln(command.OutOrStdout(), path)
			return err
		},
	}
	command.Flags().StringVar(&name, "version", "", "Kubernetes version (default: the catalog's default)")
	return command
}
