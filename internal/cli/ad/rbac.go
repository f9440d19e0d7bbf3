package ad

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/session"
)

const rolesVersion = "?api-version=2022-04-01"

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
	var role string
	if flags.role != "" {
		if role, err = d.role(ctx, flags.role, flags.scopes[0]); err != nil {
			return err
		}
	}
	made, err := d.put(ctx, uuid.NewString(), flags.name)
	if err != nil {
		return err
	}
	for _, scope := range flags.scopes {
		if err := d.assign(ctx, made.ID, role, scope); err != nil {
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

// role is the id of the role of a name or a GUID, as it can be given at a scope.
func (d directory) role(ctx context.Context, name, scope string) (string, error) {
	in := strings.TrimRight(scope, "/") + "/providers/Microsoft.Authorization/roleDefinitions"
	if _, err := uuid.Parse(name); err == nil {
		return in + "/" + name, nil
	}
	var found struct {
		Value []struct {
			ID string `json:"id"`
		} `json:"value"`
	}
	filter := url.QueryEscape("roleName eq '" + strings.ReplaceAll(name, "'", "''") + "'")
	if err := d.call(ctx, http.MethodGet, in+rolesVersion+"&$filter="+filter, nil, &found); err != nil {
		return "", err
	}
	if len(found.Value) != 1 {
		return "", failure.NotFound("there is no role '%s' that can be given at %s", name, scope)
	}
	return found.Value[0].ID, nil
}

// assign gives a principal a role.
func (d directory) assign(ctx context.Context, objectID, role, scope string) error {
	body := map[string]any{"properties": map[string]any{"roleDefinitionId": role, "principalId": objectID, "principalType": "ServicePrincipal"}}
	path := strings.TrimRight(scope, "/") + "/providers/Microsoft.Authorization/roleAssignments/" + uuid.NewString() + rolesVersion
	return d.call(ctx, http.MethodPut, path, body, nil)
}
