package aks

import (
	"context"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/kubeconfig"
	"berth.dev/berth/internal/cli/session"
)

type credentialsFlags struct {
	target
	admin     bool
	file      string
	context   string
	overwrite bool
}

func newGetCredentials(s *session.Session) *cobra.Command {
	var flags credentialsFlags
	command := &cobra.Command{
		Use:   "get-credentials",
		Short: "Put the access to a managed cluster into your kubeconfig file",
		Args:  cobra.NoArgs,
		Example: `  berth aks get-credentials --resource-group demo --name demo
  berth aks get-credentials -g demo -n demo --admin --overwrite-existing
  berth aks get-credentials -g demo -n demo --file - > demo.kubeconfig`,
		RunE: func(command *cobra.Command, _ []string) error { return getCredentials(command.Context(), s, flags) },
	}
	argument.ResourceGroup(s, command, &flags.group)
	argument.ClusterName(s, command, "name", &flags.name)
	own := command.Flags()
	own.BoolVarP(&flags.admin, "admin", "a", false, "get the credentials of the cluster's admin")
	own.StringVarP(&flags.file, "file", "f", kubeconfig.DefaultFile(), `the file to merge into, "-" to print`)
	own.Lookup("file").DefValue = "that of kubectl" // the same text on every machine
	own.StringVar(&flags.context, "context", "", "name of the context (default: that of the cluster)")
	own.BoolVar(&flags.overwrite, "overwrite-existing", false, "replace what the file has under the same names")
	return command
}

func getCredentials(ctx context.Context, s *session.Session, flags credentialsFlags) error {
	credentials, err := fetchCredentials(ctx, s, flags)
	if err != nil {
		return err
	}
	if flags.file == "-" {
		_, err := s.Out.Write(credentials)
		return err
	}
	options := kubeconfig.Options{Context: flags.context, Overwrite: flags.overwrite}
	name, err := kubeconfig.MergeFile(ctx, flags.file, credentials, options)
	if errors.Is(err, kubeconfig.ErrDifferent) {
		if !s.Interactive {
			return fmt.Errorf("%w\nreplace it with --overwrite-existing, or choose another name with --context", err)
		}
		if err := s.Confirm(ctx, fmt.Sprintf("%v\nOverwrite?", err)); err != nil {
			return err
		}
		options.Overwrite = true
		name, err = kubeconfig.MergeFile(ctx, flags.file, credentials, options)
	}
	if err != nil {
		return err
	}
	s.Inform("Merged %q as current context in %s", name, flags.file)
	return nil
}

func fetchCredentials(ctx context.Context, s *session.Session, flags credentialsFlags) ([]byte, error) {
	clusters, err := s.ManagedClusters()
	if err != nil {
		return nil, err
	}
	var results armcontainerservice.CredentialResults
	if flags.admin {
		response, err := clusters.ListClusterAdminCredentials(ctx, flags.group, flags.name, nil)
		if err != nil {
			return nil, err
		}
		results = response.CredentialResults
	} else {
		response, err := clusters.ListClusterUserCredentials(ctx, flags.group, flags.name, nil)
		if err != nil {
			return nil, err
		}
		results = response.CredentialResults
	}
	for _, result := range results.Kubeconfigs {
		if result != nil && len(result.Value) > 0 {
			return result.Value, nil
		}
	}
	return nil, fmt.Errorf("the service has no credentials for the cluster %q", flags.name)
}
