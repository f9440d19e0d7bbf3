// Package ad owns "berth ad": the directory's service principals, with az's
// verbs and flags. az itself asks Microsoft Graph for them; here they are
// resources of the service's tenant.
package ad

import (
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth ad".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:   "ad",
		Short: "Manage who may call the service",
		Example: `  berth ad sp create-for-rbac --name ci --role Contributor --scopes /subscriptions/00000000-0000-0000-0000-000000000000
  berth ad sp list --output table`,
	}
	s.AddFlags(command)
	command.AddCommand(newServicePrincipal(s), newRotateTokenKey(s))
	return command
}

func newServicePrincipal(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:   "sp",
		Short: "Manage service principals",
		Example: `  berth ad sp create-for-rbac --name ci
  berth ad sp credential reset --id 00000000-0000-0000-0000-000000000000`,
	}
	credential := &cobra.Command{
		Use:     "credential",
		Short:   "Manage the secrets and certificates of a service principal",
		Example: `  berth ad sp credential list --id 00000000-0000-0000-0000-000000000000`,
	}
	credential.AddCommand(newCredentialList(s), newCredentialReset(s), newCredentialDelete(s))
	command.AddCommand(newCreate(s), newCreateForRBAC(s), newList(s), newShow(s), newDelete(s), credential)
	return command
}

// columns are those of a table of service principals.
func columns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "DisplayName", Path: "displayName"}, {Header: "AppId", Path: "appId"}, {Header: "ObjectId", Path: "id"},
	}}
}

// id adds --id.
func idFlag(command *cobra.Command, id *string) {
	command.Flags().StringVar(id, "id", "", "app id or object id of the service principal [required]")
	if err := command.MarkFlagRequired("id"); err != nil {
		panic(err) // the flag is the line above
	}
}
