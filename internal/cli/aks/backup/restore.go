package backup

import (
	"context"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

type restoreFlags struct {
	target
	newCluster string
	newGroup   string
	acceptLoss bool
	yes        bool
	noWait     bool
}

func newRestore(s *session.Session) *cobra.Command {
	var flags restoreFlags
	command := &cobra.Command{
		Use:   "restore",
		Short: "Restore a cluster from a backup, in place or as a new one",
		Long: `Restore a cluster from a backup. Without --new-cluster-name the data of the backup's own
cluster are replaced: what was written since the backup is lost, and has to be accepted
with --accept-loss. Nodes stay, and clients that watch converge without a restart.
With --new-cluster-name a cluster is made like the one that was backed up, with an
address, keys and nodes of its own.`,
		Args: cobra.NoArgs,
		Example: `  berth aks backup restore --resource-group demo --name before-change --accept-loss --yes
  berth aks backup restore -g demo -n before-change --new-cluster-name demo-copy`,
		RunE: func(command *cobra.Command, _ []string) error { return restore(command.Context(), s, flags) },
	}
	flags.bind(s, command)
	command.Flags().StringVar(&flags.newCluster, "new-cluster-name", "", "make a new cluster of this name instead")
	command.Flags().StringVar(&flags.newGroup, "new-resource-group", "", "resource group of the new cluster; that of the backup if empty")
	command.Flags().BoolVar(&flags.acceptLoss, "accept-loss", false, "accept that what was written since the backup is lost")
	argument.Yes(command, &flags.yes)
	argument.NoWait(command, &flags.noWait)
	return command
}

func restore(ctx context.Context, s *session.Session, flags restoreFlags) error {
	c, err := open(s)
	if err != nil {
		return err
	}
	found, err := c.get(ctx, flags.target)
	if err != nil {
		return err
	}
	body := map[string]any{}
	what := "Restoring backup " + flags.name
	if flags.newCluster != "" {
		group := flags.newGroup
		if group == "" {
			group = flags.group
		}
		body["new"], body["clusterId"] = true, c.clusterID(group, flags.newCluster)
		what += " as cluster " + flags.newCluster
	} else {
		body["acceptLoss"] = flags.acceptLoss
		if !flags.yes && flags.acceptLoss {
			question := "Replace the data of " + found.text("clusterId") + " by those of " + found.text("time") + "?"
			if err := s.Confirm(ctx, question); err != nil {
				return err
			}
		}
	}
	response, err := c.call(ctx, http.MethodPost, c.path(flags.group, flags.name, "restore"), body, nil)
	if err != nil || flags.noWait {
		return err
	}
	poller, err := runtime.NewPoller[struct{}](response, c.arm.Pipeline(), nil)
	if err != nil {
		return err
	}
	_, err = operation.Wait(ctx, s, poller, operation.Words{What: what, Look: "berth aks list"})
	return err
}
