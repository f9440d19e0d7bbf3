package backup

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/session"
)

type createFlags struct {
	target
	cluster string
	noWait  bool
}

func newCreate(s *session.Session) *cobra.Command {
	var flags createFlags
	command := &cobra.Command{
		Use:   "create",
		Short: "Take a backup of a managed cluster and check it",
		Args:  cobra.NoArgs,
		Example: `  berth aks backup create --resource-group demo --cluster-name demo --name before-change
  berth aks backup create -g demo --cluster-name demo -n nightly-1 --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error { return create(command.Context(), s, flags) },
	}
	flags.bind(s, command)
	argument.ClusterName(s, command, "cluster-name", &flags.cluster)
	argument.NoWait(command, &flags.noWait)
	return command
}

func create(ctx context.Context, s *session.Session, flags createFlags) error {
	c, err := open(s)
	if err != nil {
		return err
	}
	body := map[string]any{"properties": map[string]any{"clusterId": c.clusterID(flags.group, flags.cluster)}}
	var made backup
	if _, err := c.call(ctx, http.MethodPut, c.path(flags.group, flags.name, ""), body, &made); err != nil {
		return err
	}
	if !flags.noWait {
		if made, err = c.await(ctx, s, flags.target, "Backing up cluster "+flags.cluster); err != nil {
			return err
		}
	}
	return s.PrintResource(made, columns())
}

func newShow(s *session.Session) *cobra.Command {
	var t target
	command := &cobra.Command{
		Use:   "show",
		Short: "Show a backup",
		Args:  cobra.NoArgs,
		Example: `  berth aks backup show --resource-group demo --name before-change
  berth aks backup show -g demo -n before-change --query revision`,
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := open(s)
			if err != nil {
				return err
			}
			found, err := c.get(command.Context(), t)
			if err != nil {
				return err
			}
			return s.PrintResource(found, columns())
		},
	}
	t.bind(s, command)
	return command
}

func newList(s *session.Session) *cobra.Command {
	var group string
	command := &cobra.Command{
		Use:   "list",
		Short: "List the backups, of all groups or of one",
		Args:  cobra.NoArgs,
		Example: `  berth aks backup list --output table
  berth aks backup list --resource-group demo`,
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := open(s)
			if err != nil {
				return err
			}
			all, err := c.list(command.Context(), group)
			if err != nil {
				return err
			}
			return s.PrintResource(all, columns())
		},
	}
	argument.OptionalResourceGroup(s, command, &group)
	return command
}

func newDelete(s *session.Session) *cobra.Command {
	var t target
	var yes bool
	command := &cobra.Command{
		Use:   "delete",
		Short: "Delete a backup with its file",
		Args:  cobra.NoArgs,
		Example: `  berth aks backup delete --resource-group demo --name before-change
  berth aks backup delete -g demo -n before-change --yes`,
		RunE: func(command *cobra.Command, _ []string) error {
			if !yes {
				if err := s.Confirm(command.Context(), "Delete the backup "+t.name+"?"); err != nil {
					return err
				}
			}
			c, err := open(s)
			if err != nil {
				return err
			}
			_, err = c.call(command.Context(), http.MethodDelete, c.path(t.group, t.name, ""), nil, nil)
			return err
		},
	}
	t.bind(s, command)
	argument.Yes(command, &yes)
	return command
}
