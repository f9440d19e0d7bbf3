// Package backup owns "berth aks backup": backups of managed clusters, which
// lie in a resource group beside the cluster and outlive it.
package backup

import (
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/aks/backup/schedule"
	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth aks backup".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:   "backup",
		Short: "Back managed clusters up and restore them",
		Long: `Back managed clusters up and restore them. A backup is everything that the API server of
a cluster stored at one moment, with the cluster's keys, encrypted with a key of the
service. Each is checked by restoring it into a database that is made for the check.
What is on nodes' disks and in volumes is not part of it.`,
		Example: `  berth aks backup create --resource-group demo --cluster-name demo --name before-change
  berth aks backup list -g demo --output table
  berth aks backup restore -g demo -n before-change --accept-loss --yes`,
	}
	command.AddCommand(newCreate(s), newDelete(s), newDownload(s), newList(s), newRestore(s), newShow(s), newUpload(s), schedule.NewCommand(s))
	return command
}

// columns are those of a table of backups.
func columns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "Name", Path: "name"},
		{Header: "ResourceGroup", Path: "resourceGroup"},
		{Header: "Time", Path: "time"},
		{Header: "KubernetesVersion", Path: "kubernetesVersion"},
		{Header: "Keys", Path: "keys"},
		{Header: "SizeBytes", Path: "sizeBytes"},
		{Header: "Verified", Path: "verified"},
		{Header: "ProvisioningState", Path: "provisioningState"},
	}}
}

// target names the backup that a command works on.
type target struct {
	group, name string
}

func (t *target) bind(s *session.Session, command *cobra.Command) {
	argument.ResourceGroup(s, command, &t.group)
	argument.BackupName(command, &t.name)
}

// look is the command that shows the backup.
func (t target) look() string {
	return "berth aks backup show --resource-group " + t.group + " --name " + t.name
}
