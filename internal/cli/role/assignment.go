package role

import (
	"context"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/session"
)

func newCreate(s *session.Session) *cobra.Command {
	var f flags
	command := &cobra.Command{
		Use:   "create",
		Short: "Give a role; it acts within seconds",
		Args:  cobra.NoArgs,
		Example: `  berth role assignment create --assignee 00000000-0000-0000-0000-000000000000 --role Contributor --scope /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/demo
  berth role assignment create --assignee 00000000-0000-0000-0000-000000000000 --role "Azure Kubernetes Service Cluster User Role" --scope /subscriptions/00000000-0000-0000-0000-000000000000`,
		RunE: func(command *cobra.Command, _ []string) error {
			roles, err := Open(s)
			if err != nil {
				return err
			}
			principal, err := roles.principal(command.Context(), f.assignee)
			if err != nil {
				return err
			}
			definition, err := roles.Definition(command.Context(), f.role, f.scope)
			if err != nil {
				return err
			}
			made, err := roles.Give(command.Context(), principal, definition, f.scope)
			if err != nil {
				return err
			}
			return s.Print(made, columns())
		},
	}
	f.add(command)
	for _, name := range []string{"assignee", "role"} {
		if err := command.MarkFlagRequired(name); err != nil {
			panic(err) // the flags are those of the line above
		}
	}
	return command
}

func newList(s *session.Session) *cobra.Command {
	var f flags
	command := &cobra.Command{
		Use:   "list",
		Short: "List the roles that are given on something, above it and below it",
		Args:  cobra.NoArgs,
		Example: `  berth role assignment list --scope /subscriptions/00000000-0000-0000-0000-000000000000 --output table
  berth role assignment list --scope /subscriptions/00000000-0000-0000-0000-000000000000 --assignee 00000000-0000-0000-0000-000000000000`,
		RunE: func(command *cobra.Command, _ []string) error {
			_, found, err := matching(command.Context(), s, f)
			if err != nil {
				return err
			}
			return s.Print(found, columns())
		},
	}
	f.add(command)
	return command
}

func newDelete(s *session.Session) *cobra.Command {
	var f flags
	command := &cobra.Command{
		Use:   "delete",
		Short: "Take a role away that was given on exactly the scope",
		Args:  cobra.NoArgs,
		Example: `  berth role assignment delete --assignee 00000000-0000-0000-0000-000000000000 --scope /subscriptions/00000000-0000-0000-0000-000000000000
  berth role assignment delete --assignee 00000000-0000-0000-0000-000000000000 --role Reader --scope /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/demo`,
		RunE: func(command *cobra.Command, _ []string) error {
			roles, found, err := matching(command.Context(), s, f)
			if err != nil {
				return err
			}
			taken := 0
			for _, one := range found {
				if !same(one.Scope, f.scope) {
					continue
				}
				if err := roles.Take(command.Context(), one.ID); err != nil {
					return err
				}
				taken++
			}
			if taken == 0 {
				return failure.NotFound("%s has no such role on exactly %s; 'berth role assignment list' shows those that are above and below it", f.assignee, f.scope)
			}
			s.Inform("Took %d role(s) away from %s.", taken, f.assignee)
			return nil
		},
	}
	f.add(command)
	if err := command.MarkFlagRequired("assignee"); err != nil {
		panic(err) // the flag is that of the line above
	}
	return command
}

// matching are the assignments at, above and below a scope that the flags name.
func matching(ctx context.Context, s *session.Session, f flags) (Roles, []Assignment, error) {
	roles, err := Open(s)
	if err != nil {
		return roles, nil, err
	}
	principal, definition := "", ""
	if f.assignee != "" {
		if principal, err = roles.principal(ctx, f.assignee); err != nil {
			return roles, nil, err
		}
	}
	if f.role != "" {
		if definition, err = roles.Definition(ctx, f.role, f.scope); err != nil {
			return roles, nil, err
		}
	}
	all, err := roles.list(ctx, f.scope)
	found := []Assignment{}
	for _, one := range all {
		if (principal == "" || same(one.PrincipalID, principal)) && (definition == "" || same(guid(one.RoleDefinitionID), guid(definition))) {
			found = append(found, one)
		}
	}
	return roles, found, err
}
