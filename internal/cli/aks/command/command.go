// Package command owns "berth aks command": commands that run in a pod of a
// managed cluster, with az's own verbs and flags.
package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth aks command".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:   "command",
		Short: "Run commands in a pod of a managed cluster, through the service",
		Long: `Run commands in a pod of a managed cluster, through the service: whoever may ask
the service needs no way to the cluster's API server. The pod has kubectl, which
is the cluster's administrator there, a shell and its usual tools.`,
		Example: `  berth aks command invoke --resource-group demo --name demo --command "kubectl get pods -A"
  berth aks command invoke -g demo -n demo -c "kubectl apply -f app.yaml" -f app.yaml`,
	}
	command.AddCommand(newInvoke(s), newResult(s))
	return command
}

// target names the cluster that a command runs in.
type target struct{ group, name string }

func (t *target) bind(s *session.Session, command *cobra.Command) {
	argument.ResourceGroup(s, command, &t.group)
	argument.ClusterName(s, command, "name", &t.name)
}

// look is the command that shows the result.
func (t target) look(id string) string {
	return "berth aks command result --resource-group " + t.group + " --name " + t.name + " --command-id " + id
}

// show prints what a command printed, or all of its result if the user asked
// for a format. A command that failed is an error.
func show(s *session.Session, command *cobra.Command, result armcontainerservice.RunCommandResult) error {
	if format := command.Flag("output"); format != nil && format.Changed {
		return s.PrintResource(result, columns())
	}
	properties := result.Properties
	if properties == nil {
		return errors.New("the service gave a result without content")
	}
	if logs := properties.Logs; logs != nil {
		text := *logs
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		if _, err := fmt.Fprint(s.Out, text); err != nil {
			return err
		}
	}
	reason := ""
	if properties.Reason != nil {
		reason = ": " + *properties.Reason
	}
	switch {
	case properties.ExitCode == nil:
		return fmt.Errorf("the command did not end by itself%s", reason)
	case *properties.ExitCode != 0:
		return fmt.Errorf("the command ended with exit code %d%s", *properties.ExitCode, reason)
	}
	return nil
}

func columns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "Id", Path: "id"},
		{Header: "ProvisioningState", Path: "provisioningState"},
		{Header: "ExitCode", Path: "exitCode"},
		{Header: "StartedAt", Path: "startedAt"},
		{Header: "FinishedAt", Path: "finishedAt"},
		{Header: "Reason", Path: "reason"},
	}}
}
