package nodepool

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

type upgradeFlags struct {
	target
	replaceFlags
	version   string
	imageOnly bool
	yes       bool
	queue     bool
	noWait    bool
}

func newUpgrade(s *session.Session) *cobra.Command {
	flags := &upgradeFlags{}
	command := &cobra.Command{
		Use:   "upgrade",
		Short: "Replace the nodes of a node pool by ones of another version",
		Long: `Replace the nodes of a node pool by ones of another Kubernetes version, or of the newest
node image. New nodes come as far as --max-surge allows, old ones are drained through the
eviction API and go. A drain that a PodDisruptionBudget holds up ends the upgrade after
--drain-timeout and names the pod and the budget; the same command again goes on from there.`,
		Args: cobra.NoArgs,
		Example: `  berth aks nodepool get-upgrades --resource-group demo --cluster-name demo --name batch
  berth aks nodepool upgrade -g demo --cluster-name demo -n batch --kubernetes-version 1.36 --max-surge 1
  berth aks nodepool upgrade -g demo --cluster-name demo -n batch --node-image-only`,
		RunE: func(command *cobra.Command, _ []string) error { return runUpgrade(command.Context(), s, flags) },
	}
	flags.target.bind(s, command)
	argument.KubernetesVersion(s, command, &flags.version)
	flags.replaceFlags.bind(command)
	command.Flags().BoolVar(&flags.imageOnly, "node-image-only", false, "only bring the nodes to the newest node image")
	argument.Yes(command, &flags.yes)
	bindQueue(command, &flags.queue)
	argument.NoWait(command, &flags.noWait)
	command.MarkFlagsMutuallyExclusive("node-image-only", "kubernetes-version")
	return command
}

func runUpgrade(ctx context.Context, s *session.Session, flags *upgradeFlags) error {
	c := change{target: flags.target, what: "Upgrading node pool " + flags.name, queue: flags.queue, noWait: flags.noWait}
	if flags.imageOnly {
		if given(flags.command, "max-surge") || given(flags.command, "drain-timeout") {
			return fmt.Errorf("how nodes are replaced is set beforehand: `berth aks nodepool update --max-surge …`, then --node-image-only")
		}
		return upgradeImage(ctx, s, c)
	}
	if flags.version == "" { // as az: what the control plane serves
		clusters, err := s.ManagedClusters()
		if err != nil {
			return err
		}
		found, err := clusters.Get(ctx, flags.group, flags.cluster, nil)
		if err != nil {
			return err
		}
		if found.Properties == nil || found.Properties.CurrentKubernetesVersion == nil {
			return fmt.Errorf("the service does not say what Kubernetes version the cluster %s serves: name one with --kubernetes-version", flags.cluster)
		}
		flags.version = *found.Properties.CurrentKubernetesVersion
	}
	c.edit = func(pool resource) error {
		properties := pool.section("")
		properties["orchestratorVersion"] = flags.version
		delete(properties, "creationData")
		flags.edit(pool)
		return nil
	}
	return c.apply(ctx, s)
}

// upgradeImage brings the nodes to the newest node image.
func upgradeImage(ctx context.Context, s *session.Session, c change) error {
	pool, err := open(s, c.target)
	if err != nil {
		return err
	}
	response, err := pool.send(queueing(ctx, c.queue), call{method: http.MethodPost, action: "upgradeNodeImageVersion"})
	if err != nil || c.noWait {
		return err
	}
	return c.finish(ctx, s, pool, response)
}

func newGetUpgrades(s *session.Session) *cobra.Command {
	var t target
	command := &cobra.Command{
		Use:     "get-upgrades",
		Short:   "List the versions that a node pool may be upgraded to",
		Args:    cobra.NoArgs,
		Example: `  berth aks nodepool get-upgrades --resource-group demo --cluster-name demo --nodepool-name batch --output table`,
		RunE: func(command *cobra.Command, _ []string) error {
			pools, err := s.AgentPools()
			if err != nil {
				return err
			}
			result, err := pools.GetUpgradeProfile(command.Context(), t.group, t.cluster, t.name, nil)
			if err != nil {
				return err
			}
			return s.PrintResource(result.AgentPoolUpgradeProfile, output.Columns{Columns: []output.Column{
				{Header: "KubernetesVersion", Path: "kubernetesVersion"},
				{Header: "LatestNodeImageVersion", Path: "latestNodeImageVersion"},
				{Header: "OsType", Path: "osType"},
				{Header: "Upgrades", Path: "upgrades && join(', ', upgrades[].kubernetesVersion) || 'None available'"},
			}})
		},
	}
	t.bind(s, command)
	return command
}
