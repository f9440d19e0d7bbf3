// Package group owns "berth group": resource groups, with az's own verbs and
// flags.
package group

import (
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth group".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:   "group",
		Short: "Manage resource groups",
		Example: `  berth group create --name demo
  berth group list --output table`,
	}
	s.AddFlags(command)
	command.AddCommand(
		newCreate(s),
		newDelete(s),
		newExists(s),
		newList(s),
		newShow(s),
		newWait(s),
	)
	return command
}

// columns are az's columns of a table of resource groups.
func columns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "Name", Path: "name"},
		{Header: "Location", Path: "location"},
		{Header: "Status", Path: "properties.provisioningState"},
	}}
}
