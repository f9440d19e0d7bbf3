package ad

import (
	"context"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/role"
	"berth.dev/berth/internal/cli/session"
)

type rbacFlags struct {
	name, role string
	scopes     []string
	life       lifetime
}

func newCreateForRBAC(s *session.Session) *cobra.Command {
	var flags rbacFlags
	command := &cobra.Command{
		Use:   "create-for-rbac",
		Short: "Create a service principal with a secret, printed this once, and give it a role",
		Args:  cobra.NoArgs,
		Example: `  berth ad sp create-for-rbac --name ci
  berth ad sp create-for-rbac --name ci --role Contributor --scopes /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/demo
  berth ad sp create-for-rbac --name reader --role Reader --scopes /subscriptions/00000000-0000-0000-0000-000000000000 --years 2`,
		RunE: func(command *cobra.Command, _ []string) error {
			return createForRBAC(command.Context(), s, flags, &flags.life)
		},
	}
	command.Flags().StringVarP(&flags.name, "name", "n", "berth-cli", "name for people")
	command.Flags().StringVar(&flags.name, "display-name", "berth-cli", "the same as --name")
	command.Flags().StringVar(&flags.role, "role", "", "name or GUID of the role to give it")
	command.Flags().StringSliceVar(&flags.scopes, "scopes", nil, "ids of what it gets the role on, parted by commas")
	command.MarkFlagsRequiredTogether("role", "scopes")
	flags.life.addFlags(command)
	return command
}

// createForRBAC looks first for all that can be wrong, and makes the secret
// last: it is printed as soon as there is one.
func createForRBAC(ctx context.Context, s *session.Session, flags rbacFlags, life *lifetime) error {
	end, err := life.until(s.Clock.Now())
	if err != nil {
		return err
	}
	d, err := open(s)
	if err != nil {
		return err
	}
	roles, err := role.Open(s)
	if err != nil {
		return err
	}
	var definition string
	if flags.role != "" {
		if definition, err = roles.Definition(ctx, flags.role, flags.scopes[0]); err != nil {
			return err
		}
	}
	made, err := d.put(ctx, uuid.NewString(), flags.name)
	if err != nil {
		return err
	}
	for _, scope := range flags.scopes {
		if _, err := roles.Give(ctx, made.ID, definition, scope); err != nil {
			s.Inform("The service principal %s was made, but has no secret yet and not all roles. Delete it with: berth ad sp delete --id %s", made.AppID, made.AppID)
			return err
		}
	}
	secret, err := d.addPassword(ctx, made.AppID, "rbac", end)
	if err != nil {
		s.Inform("The service principal %s was made, but has no secret. Make one with: berth ad sp credential reset --id %s", made.AppID, made.AppID)
		return err
	}
	return s.Print(login{AppID: made.AppID, DisplayName: made.DisplayName, Password: secret, Tenant: made.TenantID}, loginColumns())
}
