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
	acceptLoss bool
	yes        bool
	noWait     bool
}

func newRollback(s *session.Session) *cobra.Command {
	var flags decisionFlags
	command := &cobra.Command{
		Use:   "rollback",
		Short: "Take an upgrade of the control plane back",
		Long: `Take an upgrade of the control plane to another minor back. Until it is lifted the new
binaries behave as the minor before, so the old ones find all that was written meanwhile:
nothing is lost. Once it is lifted the way back is the backup that was taken before the
upgrade, for seven days: what was written since is lost, and has to be accepted with
--accept-loss. The version of the control plane and of the pools goes back with it.
"berth aks upgrade-status" says which way back there is.`,
		Args: cobra.NoArgs,
		Example: `  berth aks upgrade-status --resource-group demo --name demo
  berth aks rollback --resource-group demo --name demo --yes
  berth aks rollback -g demo -n demo --accept-loss`,
		RunE: func(command *cobra.Command, _ []string) error {
			question, err := rollbackQuestion(command.Context(), s, flags)
			if err != nil {
				return err
			}
			return decide(command.Context(), s, flags, decision{"rollback", "Rolling back cluster " + flags.name, question})
		},
	}
	bindDecision(s, command, &flags)
	command.Flags().BoolVar(&flags.acceptLoss, "accept-loss", false, "restore the backup from before a lifted upgrade, and lose what was written since")
	return command
}

// rollbackQuestion asks for a rollback, and says what is lost by one that
// restores a backup.
func rollbackQuestion(ctx context.Context, s *session.Session, flags decisionFlags) (string, error) {
	question := fmt.Sprintf("Take the upgrade of %s back?", flags.name)
	if flags.yes || !flags.acceptLoss {
		return question, nil
	}
	body, err := readUpgrade(ctx, s, flags.target)
	if err != nil {
		return "", err
	}
	properties, _ := body["properties"].(map[string]any)
	before, _ := properties["backup"].(map[string]any)
	if before == nil || properties["canRollBack"] == true {
		return question, nil // nothing is lost, or the service says why there is no way back
	}
	lost := fmt.Sprintf("since %v, after revision %.0f", before["time"], before["revision"])
	if now, known := before["currentRevision"]; known {
		lost += fmt.Sprintf(" up to %.0f", now)
	}
	return fmt.Sprintf("Take the upgrade of %s back, and lose all that was written %s?", flags.name, lost), nil
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

// decide asks, takes an upgrade's next step, and shows how it stands then.
func decide(ctx context.Context, s *session.Session, flags decisionFlags, d decision) error {
	var body any
	if flags.acceptLoss {
		body = map[string]any{"acceptLoss": true}
	}
	if err := act(ctx, s, flags, d, body); err != nil || flags.noWait {
		return err
	}
	return showUpgrade(ctx, s, flags.target)
}

// act asks, sends an action that the public service does not have, and waits for
// its end unless it is not to.
func act(ctx context.Context, s *session.Session, flags decisionFlags, d decision, body any) error {
	if !flags.yes {
		if err := s.Confirm(ctx, d.question); err != nil {
			return err
		}
	}
	extension, err := s.Extension()
	if err != nil {
		return err
	}
	response, err := extension.Do(ctx, http.MethodPost, extension.Cluster(flags.group, flags.name, d.action), body)
	if err != nil || flags.noWait {
		return err
	}
	poller, err := extension.Poller(response)
	if err != nil {
		return err
	}
	_, err = operation.Wait(ctx, s, poller, operation.Words{What: d.what, Look: flags.look()})
	return err
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

// readUpgrade reads how an upgrade stands.
func readUpgrade(ctx context.Context, s *session.Session, of target) (body map[string]any, err error) {
	extension, err := s.Extension()
	if err != nil {
		return nil, err
	}
	response, err := extension.Do(ctx, http.MethodGet, extension.Cluster(of.group, of.name, "upgrade"), nil)
	if err != nil {
		return nil, err
	}
	return body, runtime.UnmarshalAsJSON(response, &body)
}

func showUpgrade(ctx context.Context, s *session.Session, of target) error {
	body, err := readUpgrade(ctx, s, of)
	if err != nil {
		return err
	}
	return s.Print(body, output.Columns{Columns: []output.Column{
		{Header: "KubernetesVersion", Path: "properties.kubernetesVersion"},
		{Header: "Served", Path: "properties.currentKubernetesVersion"},
		{Header: "Binaries", Path: "properties.binaryVersion"},
		{Header: "State", Path: "properties.provisioningState"},
		{Header: "CanRollBack", Path: "properties.canRollBack"},
		{Header: "LiftTime", Path: "properties.liftTime"},
		{Header: "Backup", Path: "properties.backup.time"},
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
