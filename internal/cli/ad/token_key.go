package ad

import (
	"net/http"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// rotateKeyPath is the action that has a new key sign tokens.
const rotateKeyPath = "/providers/Berth.Identity/rotateSigningKey"

func newRotateTokenKey(s *session.Session) *cobra.Command {
	var revoke, yes bool
	command := &cobra.Command{
		Use:   "rotate-token-key",
		Short: "Replace the key that signs the service's access tokens",
		Long: `Replace the key that signs the service's access tokens. Tokens of the old key are good to
their end, an hour at most, unless they are revoked: then they are refused at once by the
front end that takes the command and within a minute by others, and every client logs in
anew by itself, with the secret that it has.`,
		Args: cobra.NoArgs,
		Example: `  berth ad rotate-token-key --yes
  berth ad rotate-token-key --revoke --yes`,
		RunE: func(command *cobra.Command, _ []string) error {
			if !yes {
				question := "Replace the key that signs access tokens?"
				if revoke {
					question = "Replace the key that signs access tokens, and refuse all tokens that are out?"
				}
				if err := s.Confirm(command.Context(), question); err != nil {
					return err
				}
			}
			d, err := open(s)
			if err != nil {
				return err
			}
			var answer struct {
				KeyID   string `json:"keyId"`
				Revoked bool   `json:"revoked"`
			}
			if err := d.call(command.Context(), http.MethodPost, rotateKeyPath, map[string]bool{"revoke": revoke}, &answer); err != nil {
				return err
			}
			return s.Print(answer, output.Columns{Columns: []output.Column{{Header: "KeyId", Path: "keyId"}, {Header: "Revoked", Path: "revoked"}}})
		},
	}
	command.Flags().BoolVar(&revoke, "revoke", false, "refuse the tokens that the old key signed")
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask for confirmation")
	return command
}
