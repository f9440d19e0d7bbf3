package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

type invokeFlags struct {
	target
	command string
	files   []string
	noWait  bool
}

func newInvoke(s *session.Session) *cobra.Command {
	var flags invokeFlags
	command := &cobra.Command{
		Use:   "invoke",
		Short: "Run a command in a pod of a managed cluster and print its output",
		Long: `Run a command in a pod of a managed cluster and print its output. Attached files
lie where the command starts. An exit code other than 0 is an error.`,
		Args: cobra.NoArgs,
		Example: `  berth aks command invoke --resource-group demo --name demo --command "kubectl get pods -A"
  berth aks command invoke -g demo -n demo -c "kubectl apply -f app.yaml" -f app.yaml
  berth aks command invoke -g demo -n demo -c "sh install.sh" -f . --output json`,
		RunE: func(command *cobra.Command, _ []string) error { return invoke(command, s, flags) },
	}
	flags.bind(s, command)
	own := command.Flags()
	own.StringVarP(&flags.command, "command", "c", "", "the command, a line for a shell (required)")
	own.StringArrayVarP(&flags.files, "file", "f", nil, `a file to attach, or "." for all of the current directory; may be repeated`)
	if err := command.MarkFlagRequired("command"); err != nil {
		panic(err) // the flag is made two lines above
	}
	argument.NoWait(command, &flags.noWait)
	return command
}

func invoke(command *cobra.Command, s *session.Session, flags invokeFlags) error {
	ctx := command.Context()
	clusters, err := s.ManagedClusters()
	if err != nil {
		return err
	}
	request := armcontainerservice.RunCommandRequest{Command: &flags.command}
	if len(flags.files) > 0 {
		attached, err := pack(flags.files)
		if err != nil {
			return err
		}
		request.Context = &attached
	}
	var accepted *http.Response
	poller, err := clusters.BeginRunCommand(policy.WithCaptureResponse(ctx, &accepted), flags.group, flags.name, request, nil)
	if err != nil {
		return err
	}
	id := idOf(accepted)
	if flags.noWait {
		s.Inform("The command runs; see its result with: %s", flags.look(id))
		return nil
	}
	result, err := operation.Wait(ctx, s, poller, operation.Words{What: "Running the command in " + flags.name, Look: flags.look(id)})
	var ended *azcore.ResponseError
	if errors.As(err, &ended) && ended.StatusCode == http.StatusOK && id != "" {
		return fetch(ctx, command, s, flags.target, id) // the SDK takes the state Failed for an error of the call
	}
	if err != nil {
		return err
	}
	return show(s, command, result.RunCommandResult)
}

// idOf is the command's id in the URL to poll, as az reads it.
func idOf(accepted *http.Response) string {
	if accepted == nil {
		return ""
	}
	match := regexp.MustCompile(`commandResults/(\w*)\?`).FindStringSubmatch(accepted.Header.Get("Location"))
	if match == nil {
		return ""
	}
	return match[1]
}

func newResult(s *session.Session) *cobra.Command {
	var t target
	var id string
	command := &cobra.Command{
		Use:     "result",
		Short:   "Print the output of a command that was invoked before",
		Args:    cobra.NoArgs,
		Example: `  berth aks command result --resource-group demo --name demo --command-id 0a1b2c3d4e5f60718293a4b5c6d7e8f9`,
		RunE: func(command *cobra.Command, _ []string) error {
			return fetch(command.Context(), command, s, t, id)
		},
	}
	t.bind(s, command)
	command.Flags().StringVarP(&id, "command-id", "i", "", "id of the command, as invoke tells it (required)")
	if err := command.MarkFlagRequired("command-id"); err != nil {
		panic(err) // the flag is made a line above
	}
	return command
}

func fetch(ctx context.Context, command *cobra.Command, s *session.Session, t target, id string) error {
	clusters, err := s.ManagedClusters()
	if err != nil {
		return err
	}
	var answered *http.Response
	response, err := clusters.GetCommandResult(policy.WithCaptureResponse(ctx, &answered), t.group, t.name, id, nil)
	if err != nil {
		return err
	}
	if answered != nil && answered.StatusCode == http.StatusAccepted {
		return fmt.Errorf("the command still runs; ask again with: %s", t.look(id))
	}
	return show(s, command, response.RunCommandResult)
}
