package service

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/app"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cloud"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/management"
)

func newCloudCommand() *cobra.Command {
	command := &cobra.Command{Use: "cloud", Short: "What a client needs to reach the service", Args: cobra.NoArgs}
	command.AddCommand(newCloudShowCommand(), newCloudSetupAzCommand())
	return command
}

func newCloudShowCommand() *cobra.Command {
	var o app.Options
	format := output.JSON
	command := &cobra.Command{
		Use:   "show",
		Short: "Show the endpoints, the tenant, and the first principal with its secret",
		Long: `Show what a client needs: where ARM and the token service are, the CA file that
verifies them, and tenant, subscription and credentials of the first service
principal, who is Owner of the subscription. Only root can read it.`,
		Example: `  berth cloud show -o json
  berth cloud show -o tsv`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := requireRoot(command); err != nil {
				return err
			}
			h, err := open(o.Home)
			if err != nil {
				return err
			}
			stored, err := cloud.Load(h.CloudFile())
			if errors.Is(err, cloud.ErrNotLoggedIn) {
				return fmt.Errorf("the service in %s has never been ready: berth up --detach starts it", h.Dir)
			}
			if err != nil {
				return err
			}
			return output.Printer{Out: command.OutOrStdout(), Format: format, Query: &output.Query{}}.Print(stored, output.Columns{})
		},
	}
	addHome(command, &o)
	addOutput(command, &format)
	return command
}

func newAdminCommand() *cobra.Command {
	command := &cobra.Command{Use: "admin", Short: "Reach behind the service's API", Args: cobra.NoArgs}
	var o app.Options
	kubeconfig := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print a kubeconfig of the management API's administrator",
		Long: `Print a kubeconfig of the management API, where managed clusters, agent pools,
machines, control planes and networks are objects. It may do everything there:
keep it as you keep root's password.`,
		Example: `  (umask 077; berth admin kubeconfig > admin.kubeconfig)
  kubectl --kubeconfig admin.kubeconfig get managedclusters,agentpools,machines`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := requireRoot(command); err != nil {
				return err
			}
			h, err := open(o.Home)
			if err != nil {
				return err
			}
			content, err := management.New(h, "", nil).Kubeconfig()
			if err != nil {
				return err
			}
			_, err = command.OutOrStdout().Write(content)
			return err
		},
	}
	addHome(kubeconfig, &o)
	command.AddCommand(kubeconfig, newBackupKeyCommand(), newRotateCACommand())
	return command
}

// open opens an install.
func open(dir string) (home.Home, error) {
	dir, err := home.Dir(dir)
	if err != nil {
		return home.Home{}, err
	}
	h, err := home.Open(dir)
	if errors.Is(err, home.ErrNotFound) {
		return h, fmt.Errorf("%w: berth up --detach makes one", err)
	}
	return h, err
}
