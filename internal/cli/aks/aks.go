// Package aks owns "berth aks": managed clusters, with az's own verbs and
// flags. It talks to the service with the Azure SDK's client alone, so that
// whatever works here works for every client of AKS.
package aks

import (
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/aks/backup"
	clustercommand "berth.dev/berth/internal/cli/aks/command"
	"berth.dev/berth/internal/cli/aks/machine"
	"berth.dev/berth/internal/cli/aks/maintenanceconfiguration"
	"berth.dev/berth/internal/cli/aks/nodepool"
	"berth.dev/berth/internal/cli/aks/schedule"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth aks".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:   "aks",
		Short: "Manage Kubernetes clusters",
		Example: `  berth aks create --resource-group demo --name demo --node-count 1
  berth aks get-credentials -g demo -n demo
  berth aks list --output table`,
	}
	s.AddFlags(command)
	command.AddCommand(
		newCreate(s),
		newDelete(s),
		newGetCredentials(s),
		newGetUpgrades(s),
		newGetVersions(s),
		newLift(s),
		newList(s),
		newOperationAbort(s),
		newRollback(s),
		newRotateCerts(s),
		newRotateServiceAccountKeys(s),
		newRotateEncryptionKey(s),
		newShowCerts(s),
		newScale(s),
		newShow(s),
		newStart(s),
		newStop(s),
		newUpdate(s),
		newUpgrade(s),
		newUpgradeStatus(s),
		newWait(s),
		clustercommand.NewCommand(s),
		backup.NewCommand(s),
		machine.NewCommand(s),
		maintenanceconfiguration.NewCommand(s),
		nodepool.NewCommand(s),
		schedule.NewCommand(s),
	)
	return command
}

// columns are az's columns of a table of clusters.
func columns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "Name", Path: "name"},
		{Header: "Location", Path: "location"},
		{Header: "ResourceGroup", Path: "resourceGroup"},
		{Header: "KubernetesVersion", Path: "kubernetesVersion"},
		{Header: "CurrentKubernetesVersion", Path: "currentKubernetesVersion"},
		{Header: "ProvisioningState", Path: "provisioningState"},
		{Header: "Fqdn", Path: "fqdn"},
	}}
}

// target names the cluster that a command works on.
type target struct {
	group string
	name  string
}

// look is the command that shows the cluster.
func (t target) look() string {
	return "berth aks show --resource-group " + t.group + " --name " + t.name
}
