// Package role owns "berth role": who may do what, with az's verbs and flags.
// The az of some distributions cannot give roles, for want of a fitting library.
package role

import (
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth role".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:     "role",
		Short:   "Manage who may do what",
		Example: `  berth role assignment list --scope /subscriptions/00000000-0000-0000-0000-000000000000`,
	}
	s.AddFlags(command)
	assignments := &cobra.Command{
		Use:   "assignment",
		Short: "Give roles, list and take them away",
		Example: `  berth role assignment create --assignee 00000000-0000-0000-0000-000000000000 --role Reader --scope /subscriptions/00000000-0000-0000-0000-000000000000
  berth role assignment list --scope /subscriptions/00000000-0000-0000-0000-000000000000`,
	}
	assignments.AddCommand(newCreate(s), newList(s), newDelete(s))
	command.AddCommand(assignments)
	return command
}

// flags say which assignments a command is about.
type flags struct{ assignee, role, scope string }

func (f *flags) add(command *cobra.Command) {
	command.Flags().StringVar(&f.assignee, "assignee", "", "app id of a service principal, or principal id of an identity")
	command.Flags().StringVar(&f.role, "role", "", "name or GUID of the role")
	command.Flags().StringVar(&f.scope, "scope", "", "id of what the role is on: a subscription, a group or a resource [required]")
	if err := command.MarkFlagRequired("scope"); err != nil {
		panic(err) // the flag is the line above
	}
}

// columns are those of a table of assignments.
func columns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "Principal", Path: "principalId"}, {Header: "Role", Path: "roleDefinitionName"}, {Header: "Scope", Path: "scope"},
	}}
}
