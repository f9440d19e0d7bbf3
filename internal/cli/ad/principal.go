package ad

import (
	"net/http"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/session"
)

func newCreate(s *session.Session) *cobra.Command {
	var id, name string
	command := &cobra.Command{
		Use:   "create",
		Short: "Create a service principal without credentials and roles, or rename one",
		Args:  cobra.NoArgs,
		Example: `  berth ad sp create --display-name ci
  berth ad sp create --id 00000000-0000-0000-0000-000000000000 --display-name ci`,
		RunE: func(command *cobra.Command, _ []string) error {
			d, err := open(s)
			if err != nil {
				return err
			}
			if id == "" {
				id = uuid.NewString()
			}
			made, err := d.put(command.Context(), id, name)
			if err != nil {
				return err
			}
			return s.Print(made, columns())
		},
	}
	command.Flags().StringVar(&id, "id", "", "app id, a GUID (default: a new one)")
	command.Flags().StringVar(&name, "display-name", "", "name for people [required]")
	if err := command.MarkFlagRequired("display-name"); err != nil {
		panic(err) // the flag is the line above
	}
	return command
}

func newList(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the service principals",
		Args:    cobra.NoArgs,
		Example: `  berth ad sp list --output table`,
		RunE: func(command *cobra.Command, _ []string) error {
			d, err := open(s)
			if err != nil {
				return err
			}
			all, err := d.list(command.Context())
			if err != nil {
				return err
			}
			return s.Print(all, columns())
		},
	}
}

func newShow(s *session.Session) *cobra.Command {
	var id string
	command := &cobra.Command{
		Use:     "show",
		Short:   "Show a service principal",
		Args:    cobra.NoArgs,
		Example: `  berth ad sp show --id 00000000-0000-0000-0000-000000000000`,
		RunE: func(command *cobra.Command, _ []string) error {
			d, err := open(s)
			if err != nil {
				return err
			}
			found, err := d.find(command.Context(), id)
			if err != nil {
				return err
			}
			return s.Print(found, columns())
		},
	}
	idFlag(command, &id)
	return command
}

func newDelete(s *session.Session) *cobra.Command {
	var id string
	command := &cobra.Command{
		Use:     "delete",
		Short:   "Delete a service principal, its credentials and its role assignments",
		Args:    cobra.NoArgs,
		Example: `  berth ad sp delete --id 00000000-0000-0000-0000-000000000000`,
		RunE: func(command *cobra.Command, _ []string) error {
			d, err := open(s)
			if err != nil {
				return err
			}
			found, err := d.find(command.Context(), id)
			if err != nil {
				return err
			}
			return d.call(command.Context(), http.MethodDelete, principalsPath+"/"+found.AppID, nil, nil)
		},
	}
	idFlag(command, &id)
	return command
}
