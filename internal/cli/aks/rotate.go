package aks

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// defaultGrace is for how long what a rotation replaced is accepted.
const defaultGrace = 24 * time.Hour

type rotateFlags struct {
	decisionFlags
	grace time.Duration
}

func newRotateCerts(s *session.Session) *cobra.Command {
	var flags rotateFlags
	command := &cobra.Command{
		Use:   "rotate-certs",
		Short: "Replace a managed cluster's certificate authorities and all that they signed",
		Long: `Replace a managed cluster's certificate authorities and all that they signed: the
certificates of the control plane, of every node and of the kubeconfigs that the service
gives from then on. The command ends when the new authorities are in use everywhere.

The old ones are accepted until the grace period has passed after that: fetch kubeconfigs
anew before ("berth aks get-credentials"), and restart what reads its certificates only
once. Of an authority whose key is in the wrong hands nothing is to be accepted any more:
that is --grace-period 0. "berth aks show-certs" says until when the old ones are accepted.`,
		Args: cobra.NoArgs,
		Example: `  berth aks rotate-certs --resource-group demo --name demo --yes
  berth aks rotate-certs -g demo -n demo --grace-period 1h --yes
  berth aks rotate-certs -g demo -n demo --grace-period 0 --yes`,
		RunE: func(command *cobra.Command, _ []string) error {
			return rotate(command.Context(), s, flags, decision{
				"rotateClusterCertificates", "Rotating the certificates of cluster " + flags.name,
				fmt.Sprintf("Replace the certificate authorities of %s? Kubeconfigs of before end %s after.", flags.name, flags.grace),
			})
		},
	}
	bindRotate(s, command, &flags)
	return command
}

func newRotateServiceAccountKeys(s *session.Session) *cobra.Command {
	var flags rotateFlags
	command := &cobra.Command{
		Use:   "rotate-service-account-keys",
		Short: "Replace the key that signs a managed cluster's service-account tokens",
		Long: `Replace the key that signs a managed cluster's service-account tokens. Tokens of the old
key are accepted, and its public half is published, until the grace period has passed
after the command ended. Pods get new tokens within the hour by themselves; tokens in
Secrets of the type kubernetes.io/service-account-token end with the old key.`,
		Args: cobra.NoArgs,
		Example: `  berth aks rotate-service-account-keys --resource-group demo --name demo --yes
  berth aks rotate-service-account-keys -g demo -n demo --grace-period 2h --yes`,
		RunE: func(command *cobra.Command, _ []string) error {
			return rotate(command.Context(), s, flags, decision{
				"rotateServiceAccountSigningKeys", "Rotating the service-account key of cluster " + flags.name,
				fmt.Sprintf("Replace the key that signs the service-account tokens of %s? Tokens of before end %s after.", flags.name, flags.grace),
			})
		},
	}
	bindRotate(s, command, &flags)
	return command
}

func newRotateEncryptionKey(s *session.Session) *cobra.Command {
	var flags decisionFlags
	command := &cobra.Command{
		Use:   "rotate-encryption-key",
		Short: "Replace the key that a managed cluster's Secrets are encrypted with at rest",
		Long: `Replace the key that a managed cluster's Secrets are encrypted with at rest, and encrypt
every stored Secret with the new one. No request fails meanwhile; whoever watches Secrets
sees each of them change once, without a difference. The command ends when nothing is
encrypted with the old key any more and the cluster has forgotten it. Backups of before
hold the key that they need, and can be restored as always.`,
		Args: cobra.NoArgs,
		Example: `  berth aks rotate-encryption-key --resource-group demo --name demo --yes
  berth aks rotate-encryption-key -g demo -n demo --yes --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error {
			return act(command.Context(), s, flags, decision{
				"rotateEncryptionKey", "Rotating the encryption key of cluster " + flags.name,
				fmt.Sprintf("Replace the key that the Secrets of %s are encrypted with, and encrypt all of them anew?", flags.name),
			}, nil)
		},
	}
	bindDecision(s, command, &flags)
	return command
}

func newShowCerts(s *session.Session) *cobra.Command {
	var flags target
	command := &cobra.Command{
		Use:     "show-certs",
		Short:   "Show when a managed cluster's certificates expire, and until when replaced ones are accepted",
		Args:    cobra.NoArgs,
		Example: `  berth aks show-certs --resource-group demo --name demo --output table`,
		RunE:    func(command *cobra.Command, _ []string) error { return showCerts(command.Context(), s, flags) },
	}
	argument.ResourceGroup(s, command, &flags.group)
	argument.ClusterName(s, command, "name", &flags.name)
	return command
}

func bindRotate(s *session.Session, command *cobra.Command, flags *rotateFlags) {
	bindDecision(s, command, &flags.decisionFlags)
	command.Flags().DurationVar(&flags.grace, "grace-period", defaultGrace, "for how long what is replaced is accepted beside the new, e.g. 24h; 0 if it is compromised")
}

// rotate asks, starts a rotation, waits for it, and shows what holds then.
func rotate(ctx context.Context, s *session.Session, flags rotateFlags, d decision) error {
	body := map[string]any{"gracePeriodInSeconds": int64(flags.grace.Seconds())}
	if err := act(ctx, s, flags.decisionFlags, d, body); err != nil || flags.noWait {
		return err
	}
	return showCerts(ctx, s, flags.target)
}

func showCerts(ctx context.Context, s *session.Session, of target) error {
	extension, err := s.Extension()
	if err != nil {
		return err
	}
	response, err := extension.Do(ctx, http.MethodGet, extension.Cluster(of.group, of.name, "certificates"), nil)
	if err != nil {
		return err
	}
	var body map[string]any
	if err := runtime.UnmarshalAsJSON(response, &body); err != nil {
		return err
	}
	return s.Print(body, output.Columns{Columns: []output.Column{
		{Header: "EarliestExpiry", Path: "properties.earliestExpiry"},
		{Header: "Of", Path: "properties.earliestName"},
		{Header: "PredecessorsRetired", Path: "properties.predecessorsRetired"},
		{Header: "Message", Path: "properties.message"},
	}})
}
