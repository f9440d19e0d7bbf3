package aks

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

type upgradeFlags struct {
	target
	version          string
	controlPlaneOnly bool
	nodeImageOnly    bool
	dryRun           bool
	yes              bool
	noWait           bool
}

func newUpgrade(s *session.Session) *cobra.Command {
	var flags upgradeFlags
	command := &cobra.Command{
		Use:   "upgrade",
		Short: "Upgrade a managed cluster to a newer version",
		Long: `Upgrade a managed cluster to a newer patch, or to the next minor.

The new binaries first behave as the minor before, and can be taken back with "berth aks
rollback" without any loss until they are lifted: after a soak, or by "berth aks lift".
With --control-plane-only the command ends while they do; otherwise it goes on to the
lift, and then to the node pools.`,
		Args: cobra.NoArgs,
		Example: `  berth aks upgrade --resource-group demo --name demo --kubernetes-version 1.36.3 --dry-run
  berth aks upgrade -g demo -n demo -k 1.36.3 --control-plane-only --yes
  berth aks upgrade -g demo -n demo -k 1.36.3 --yes`,
		RunE: func(command *cobra.Command, _ []string) error { return runUpgrade(command.Context(), s, flags) },
	}
	argument.ResourceGroup(s, command, &flags.group)
	argument.ClusterName(s, command, "name", &flags.name)
	argument.KubernetesVersion(s, command, &flags.version)
	command.Flags().BoolVar(&flags.controlPlaneOnly, "control-plane-only", false, "upgrade the control plane and leave the node pools as they are")
	command.Flags().BoolVar(&flags.nodeImageOnly, "node-image-only", false, "only bring the nodes to the newest node image")
	command.Flags().BoolVar(&flags.dryRun, "dry-run", false, "only say what would stand in the way, and change nothing")
	argument.Yes(command, &flags.yes)
	argument.NoWait(command, &flags.noWait)
	command.MarkFlagsMutuallyExclusive("node-image-only", "kubernetes-version")
	command.MarkFlagsMutuallyExclusive("node-image-only", "control-plane-only")
	command.MarkFlagsMutuallyExclusive("node-image-only", "dry-run")
	command.MarkFlagsOneRequired("node-image-only", "kubernetes-version")
	return command
}

func runUpgrade(ctx context.Context, s *session.Session, flags upgradeFlags) error {
	if flags.dryRun {
		return dryRun(ctx, s, flags)
	}
	if !flags.yes {
		question := fmt.Sprintf("Upgrade %s to Kubernetes %s, its node pools included?", flags.name, flags.version)
		switch {
		case flags.nodeImageOnly:
			question = fmt.Sprintf("Bring all nodes of %s to the newest node image?", flags.name)
		case flags.controlPlaneOnly:
			question = fmt.Sprintf("Upgrade the control plane of %s to Kubernetes %s?", flags.name, flags.version)
		}
		if err := s.Confirm(ctx, question); err != nil {
			return err
		}
	}
	if flags.nodeImageOnly {
		return upgradeNodeImages(ctx, s, flags)
	}
	clusters, err := s.ManagedClusters()
	if err != nil {
		return err
	}
	var poller *runtime.Poller[armcontainerservice.ManagedClustersClientCreateOrUpdateResponse]
	err = operation.RetryChanged(func() error {
		wanted, err := upgraded(ctx, clusters, flags)
		if err != nil {
			return err
		}
		poller, err = clusters.BeginCreateOrUpdate(ctx, flags.group, flags.name, wanted,
			&armcontainerservice.ManagedClustersClientBeginCreateOrUpdateOptions{IfMatch: wanted.ETag})
		return err
	})
	if err != nil || flags.noWait {
		return err
	}
	result, err := operation.Wait(ctx, s, poller, operation.Words{What: "Upgrading cluster " + flags.name, Look: flags.look()})
	if err != nil {
		return err
	}
	return s.PrintResource(result.ManagedCluster, columns())
}

// upgraded is the cluster as it is with other versions, as az sends it.
func upgraded(ctx context.Context, clusters *armcontainerservice.ManagedClustersClient, flags upgradeFlags) (armcontainerservice.ManagedCluster, error) {
	current, err := clusters.Get(ctx, flags.group, flags.name, nil)
	if err != nil {
		return armcontainerservice.ManagedCluster{}, err
	}
	cluster := current.ManagedCluster
	if cluster.Properties == nil {
		return cluster, fmt.Errorf("the service says nothing of the cluster %s", flags.name)
	}
	cluster.Properties.KubernetesVersion = &flags.version
	cluster.Properties.ServicePrincipalProfile = nil
	for _, pool := range cluster.Properties.AgentPoolProfiles {
		if pool != nil && !flags.controlPlaneOnly {
			pool.OrchestratorVersion, pool.CreationData = &flags.version, nil
		}
	}
	return cluster, nil
}

// upgradeNodeImages brings the pools to the newest node image, one after the
// other as az does.
func upgradeNodeImages(ctx context.Context, s *session.Session, flags upgradeFlags) error {
	pools, err := s.AgentPools()
	if err != nil {
		return err
	}
	pager := pools.NewListPager(flags.group, flags.name, nil)
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, pool := range page.Value {
			if pool == nil || pool.Name == nil {
				continue
			}
			poller, err := pools.BeginUpgradeNodeImageVersion(ctx, flags.group, flags.name, *pool.Name, nil)
			if err != nil {
				return err
			}
			if flags.noWait {
				continue
			}
			words := operation.Words{What: "Upgrading the node image of pool " + *pool.Name, Look: flags.look()}
			if _, err := operation.Wait(ctx, s, poller, words); err != nil {
				return err
			}
		}
	}
	return nil
}

// report is what the service answers to a preflight.
type report struct {
	KubernetesVersion        string `json:"kubernetesVersion"`
	CurrentKubernetesVersion string `json:"currentKubernetesVersion"`
	Upgrades                 bool   `json:"upgrades"`
	Findings                 []struct {
		Code    string `json:"code"`
		Target  string `json:"target"`
		Message string `json:"message"`
	} `json:"findings"`
}

// dryRun lists what stands in the way. It fails if anything does, so that a
// script need not read the list.
func dryRun(ctx context.Context, s *session.Session, flags upgradeFlags) error {
	clusters, err := s.ManagedClusters()
	if err != nil {
		return err
	}
	extension, err := s.Extension()
	if err != nil {
		return err
	}
	wanted, err := upgraded(ctx, clusters, flags)
	if err != nil {
		return err
	}
	response, err := extension.Do(ctx, http.MethodPost, extension.Cluster(flags.group, flags.name, "preflightUpgrade"), wanted)
	if err != nil {
		return err
	}
	var found report
	if err := runtime.UnmarshalAsJSON(response, &found); err != nil {
		return err
	}
	if err := s.Print(found, output.Columns{Rows: findings, Columns: []output.Column{
		{Header: "Code", Path: "code"}, {Header: "Target", Path: "target"}, {Header: "Message", Path: "message"},
	}}); err != nil {
		return err
	}
	if n := len(found.Findings); n > 0 {
		var targets []string
		for _, f := range found.Findings {
			targets = append(targets, f.Target)
		}
		return fmt.Errorf("%d things stand in the way of Kubernetes %s (%s); nothing was changed", n, found.KubernetesVersion, strings.Join(targets, ", "))
	}
	return nil
}

func findings(value any) []any {
	result, _ := value.(map[string]any)
	rows, _ := result["findings"].([]any)
	return rows
}
