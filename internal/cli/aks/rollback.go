package aks

import (
	"context"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

type decisionFlags struct {
	target
	yes    bool
	noWait bool
}

func newRollback(s *session.Session) *cobra.Command {
	var flags decisionFlags
	command := &cobra.Command{
		Use:   "rollback",
		Short: "Take an upgrade of the control plane back that has not been lifted",
		Long: `Take an upgrade of the control plane to another minor back. Until it is lifted the new
binaries behave as the minor before, so the old ones find all that was written meanwhile:
nothing is lost. "berth aks upgrade-status" says whether there is a way back.`,
		Args: cobra.NoArgs,
		Example: `  berth aks upgrade-status --resource-group demo --name demo
  berth aks rollback --resource-group demo --name demo --yes`,
		RunE: func(command *cobra.Command, _ []string) error {
			return decide(command.Context(), s, flags, decision{"rollback", "Rolling back cluster " + flags.name,
				fmt.Sprintf("Take the upgrade of %s back?", flags.name)})
		},
	}
	bindDecision(s, command, &flags)
	return command
}

func newLift(s *session.Session) *cobra.Command {
	var flags decisionFlags
	command := &cobra.Command{
		Use:   "lift",
		Short: "Let an upgraded control plane serve its new minor now",
		Long: `Let a control plane that was upgraded to another minor, and still behaves as the one
before, serve its own. From then on it may store what the old binaries cannot read:
the upgrade can no longer be rolled back.`,
		Args:    cobra.NoArgs,
		Example: `  berth aks lift --resource-group demo --name demo --yes`,
		RunE: func(command *cobra.Command, _ []string) error {
			return decide(command.Context(), s, flags, decision{"lift", "Lifting cluster " + flags.name,
				fmt.Sprintf("Let %s serve its new version? It can no longer be rolled back then.", flags.name)})
		},
	}
	bindDecision(s, command, &flags)
	return command
}

func bindDecision(s *session.Session, command *cobra.Command, flags *decisionFlags) {
	argument.ResourceGroup(s, command, &flags.group)
	argument.ClusterName(s, command, "name", &flags.name)
	argument.Yes(command, &flags.yes)
	argument.NoWait(command, &flags.noWait)
}

// decision is an action with its words.
type decision struct{ action, what, question string }

// decide asks, sends an action that the public service does not have, and waits.
func decide(ctx context.Context, s *session.Session, flags decisionFlags, d decision) error {
	if !flags.yes {
		if err := s.Confirm(ctx, d.question); err != nil {
			return err
		}
	}
	extension, err := s.Extension()
	if err != nil {
		return err
	}
	response, err := extension.Do(ctx, http.MethodPost, extension.Cluster(flags.group, flags.name, d.action), nil)
	if err != nil || flags.noWait {
		return err
	}
	poller, err := extension.Poller(response)
	if err != nil {
		return err
	}
	if _, err := operation.Wait(ctx, s, poller, operation.Words{What: d.what, Look: flags.look()}); err != nil {
		return err
	}
	return showUpgrade(ctx, s, flags.target)
}

func newUpgradeStatus(s *session.Session) *cobra.Command {
	var flags target
	command := &cobra.Command{
		Use:   "upgrade-status",
		Short: "Show both versions of a control plane: of its binaries, and of the API that it serves",
		Args:  cobra.NoArgs,
		Example: `  berth aks upgrade-status --resource-group demo --name demo --output table
  berth aks upgrade-status -g demo -n demo --query properties.liftTime --output tsv`,
		RunE: func(command *cobra.Command, _ []string) error { return showUpgrade(command.Context(), s, flags) },
	}
	argument.ResourceGroup(s, command, &flags.group)
	argument.ClusterName(s, command, "name", &flags.name)
	return command
}

func showUpgrade(ctx context.Context, s *session.Session, of target) error {
	extension, err := s.Extension()
	if err != nil {
		return err
	}
	response, err := extension.Do(ctx, http.MethodGet, extension.Cluster(of.group, of.name, "upgrade"), nil)
	if err != nil {
		return err
	}
	var body map[string]any
	if err := runtime.UnmarshalAsJSON(response, &body); err != nil {
		return err
	}
	return s.Print(body, output.Columns{Columns: []output.Column{
		{Header: "KubernetesVersion", Path: "properties.kubernetesVersion"},
		{Header: "Served", Path: "properties.currentKubernetesVersion"},
		{Header: "Binaries", Path: "properties.binaryVersion"},
		{Header: "State", Path: "properties.provisioningState"},
		{Header: "CanRollBack", Path: "properties.canRollBack"},
		{Header: "LiftTime", Path: "properties.liftTime"},
	}})
}

func newGetUpgrades(s *session.Session) *cobra.Command {
	var flags target
	command := &cobra.Command{
		Use:     "get-upgrades",
		Short:   "List the versions that a managed cluster may be upgraded to",
		Args:    cobra.NoArgs,
		Example: `  berth aks get-upgrades --resource-group demo --name demo --output table`,
		RunE: func(command *cobra.Command, _ []string) error {
			clusters, err := s.ManagedClusters()
			if err != nil {
				return err
			}
			result, err := clusters.GetUpgradeProfile(command.Context(), flags.group, flags.name, nil)
			if err != nil {
				return err
			}
			return s.PrintResource(result.ManagedClusterUpgradeProfile, output.Columns{Columns: []output.Column{
				{Header: "Name", Path: "name"},
				{Header: "ResourceGroup", Path: "resourceGroup"},
				{Header: "MasterVersion", Path: "controlPlaneProfile.kubernetesVersion || 'unknown'"},
				{Header: "Upgrades", Path: "controlPlaneProfile.upgrades && join(', ', controlPlaneProfile.upgrades[].kubernetesVersion) || 'None available'"},
			}})
		},
	}
	argument.ResourceGroup(s, command, &flags.group)
	argument.ClusterName(s, command, "name", &flags.name)
	return command
}
