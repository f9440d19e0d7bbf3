// Package maintenanceconfiguration owns "berth aks maintenanceconfiguration": when
// the service may do planned work on a managed cluster, with az's own verbs and flags.
package maintenanceconfiguration

import (
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth aks maintenanceconfiguration".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:   "maintenanceconfiguration",
		Short: "Say when a managed cluster may be upgraded by itself",
		Long: `Say when a managed cluster may be upgraded by itself: "berth aks update
--auto-upgrade-channel" says to what. aksManagedAutoUpgradeSchedule is the configuration
that upgrades keep to, and where there is none the configuration default.`,
		Example: `  berth aks maintenanceconfiguration add --resource-group demo --cluster-name demo --name aksManagedAutoUpgradeSchedule --schedule-type Weekly --day-of-week Friday --interval-weeks 1 --start-time 22:00 --duration 8 --utc-offset +01:00
  berth aks maintenanceconfiguration list -g demo --cluster-name demo --output table`,
	}
	command.AddCommand(newAdd(s), newDelete(s), newList(s), newShow(s), newUpdate(s))
	return command
}

// columns are those of a table of configurations.
func columns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "Name", Path: "name"},
		{Header: "ResourceGroup", Path: "resourceGroup"},
		{Header: "StartDate", Path: "maintenanceWindow.startDate"},
		{Header: "StartTime", Path: "maintenanceWindow.startTime"},
		{Header: "UtcOffset", Path: "maintenanceWindow.utcOffset"},
		{Header: "Hours", Path: "maintenanceWindow.durationHours"},
	}}
}

// target names the configuration that a command works on.
type target struct{ group, cluster, name string }

func (t *target) bindCluster(s *session.Session, command *cobra.Command) {
	argument.ResourceGroup(s, command, &t.group)
	argument.ClusterName(s, command, "cluster-name", &t.cluster)
}

func (t *target) bind(s *session.Session, command *cobra.Command) {
	t.bindCluster(s, command)
	command.Flags().StringVarP(&t.name, "name", "n", "", "name of the configuration: default, aksManagedAutoUpgradeSchedule or aksManagedNodeOSUpgradeSchedule (required)")
	for _, err := range []error{
		command.MarkFlagRequired("name"),
		command.RegisterFlagCompletionFunc("name", cobra.FixedCompletions(
			[]string{"default", "aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"}, cobra.ShellCompDirectiveNoFileComp)),
	} {
		if err != nil {
			panic(err) // the flag is made a few lines above
		}
	}
}

func newShow(s *session.Session) *cobra.Command {
	var t target
	command := &cobra.Command{
		Use:     "show",
		Short:   "Show a maintenance configuration",
		Args:    cobra.NoArgs,
		Example: `  berth aks maintenanceconfiguration show --resource-group demo --cluster-name demo --name default`,
		RunE: func(command *cobra.Command, _ []string) error {
			configurations, err := s.MaintenanceConfigurations()
			if err != nil {
				return err
			}
			found, err := configurations.Get(command.Context(), t.group, t.cluster, t.name, nil)
			if err != nil {
				return err
			}
			return s.PrintResource(found.MaintenanceConfiguration, columns())
		},
	}
	t.bind(s, command)
	return command
}

func newList(s *session.Session) *cobra.Command {
	var t target
	command := &cobra.Command{
		Use:     "list",
		Short:   "List the maintenance configurations of a managed cluster",
		Args:    cobra.NoArgs,
		Example: `  berth aks maintenanceconfiguration list --resource-group demo --cluster-name demo --output table`,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := s.MaintenanceConfigurations()
			if err != nil {
				return err
			}
			found := []*armcontainerservice.MaintenanceConfiguration{}
			for pager := client.NewListByManagedClusterPager(t.group, t.cluster, nil); pager.More(); {
				page, err := pager.NextPage(command.Context())
				if err != nil {
					return err
				}
				found = append(found, page.Value...)
			}
			return s.PrintResource(found, columns())
		},
	}
	t.bindCluster(s, command)
	return command
}

func newDelete(s *session.Session) *cobra.Command {
	var t target
	command := &cobra.Command{
		Use:     "delete",
		Short:   "Delete a maintenance configuration",
		Args:    cobra.NoArgs,
		Example: `  berth aks maintenanceconfiguration delete --resource-group demo --cluster-name demo --name default`,
		RunE: func(command *cobra.Command, _ []string) error {
			configurations, err := s.MaintenanceConfigurations()
			if err != nil {
				return err
			}
			_, err = configurations.Delete(command.Context(), t.group, t.cluster, t.name, nil)
			return err
		},
	}
	t.bind(s, command)
	return command
}
