package ad

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// login is what a new secret is printed with, as az does.
type login struct {
	AppID       string `json:"appId"`
	DisplayName string `json:"displayName,omitempty"`
	Password    string `json:"password"`
	Tenant      string `json:"tenant"`
}

func loginColumns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "AppId", Path: "appId"}, {Header: "DisplayName", Path: "displayName"}, {Header: "Password", Path: "password"}, {Header: "Tenant", Path: "tenant"},
	}}
}

// lifetime is how long a new secret is good.
type lifetime struct {
	years int
	end   string
}

func (l *lifetime) addFlags(command *cobra.Command) {
	command.Flags().IntVar(&l.years, "years", 1, "years for which the secret is good, 1 to 99")
	command.Flags().StringVar(&l.end, "end-date", "", "when the secret stops being good, as in 2027-12-31 or 2027-12-31T11:59:59Z")
	command.MarkFlagsMutuallyExclusive("years", "end-date")
}

func (l *lifetime) until(now time.Time) (time.Time, error) {
	if l.end == "" {
		if l.years < 1 || l.years > 99 {
			return time.Time{}, failure.Usage("--years: %d is not from 1 to 99", l.years)
		}
		return now.AddDate(l.years, 0, 0), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04:05"} {
		if end, err := time.Parse(layout, l.end); err == nil {
			return end, nil
		}
	}
	return time.Time{}, failure.Usage("--end-date: %q is no date such as 2027-12-31", l.end)
}

func newCredentialList(s *session.Session) *cobra.Command {
	var id string
	var certificates bool
	command := &cobra.Command{
		Use:   "list",
		Short: "List the secrets of a service principal, without what is secret, or its certificates",
		Args:  cobra.NoArgs,
		Example: `  berth ad sp credential list --id 00000000-0000-0000-0000-000000000000
  berth ad sp credential list --id 00000000-0000-0000-0000-000000000000 --cert`,
		RunE: func(command *cobra.Command, _ []string) error {
			d, err := open(s)
			if err != nil {
				return err
			}
			found, err := d.find(command.Context(), id)
			if err != nil {
				return err
			}
			list := found.PasswordCredentials
			if certificates {
				list = found.KeyCredentials
			}
			return s.Print(list, output.Columns{Columns: []output.Column{
				{Header: "KeyId", Path: "keyId"}, {Header: "DisplayName", Path: "displayName"}, {Header: "Hint", Path: "hint"}, {Header: "EndDateTime", Path: "endDateTime"},
			}})
		},
	}
	idFlag(command, &id)
	command.Flags().BoolVar(&certificates, "cert", false, "list the certificates instead")
	return command
}

func newCredentialReset(s *session.Session) *cobra.Command {
	var id, name string
	var keep bool
	var life lifetime
	command := &cobra.Command{
		Use:   "reset",
		Short: "Make a new secret, print it this once, and remove the others",
		Args:  cobra.NoArgs,
		Example: `  berth ad sp credential reset --id 00000000-0000-0000-0000-000000000000
  berth ad sp credential reset --id 00000000-0000-0000-0000-000000000000 --append --display-name second --end-date 2027-12-31`,
		RunE: func(command *cobra.Command, _ []string) error {
			end, err := life.until(s.Clock.Now())
			if err != nil {
				return err
			}
			d, err := open(s)
			if err != nil {
				return err
			}
			found, err := d.find(command.Context(), id)
			if err != nil {
				return err
			}
			secret, err := d.addPassword(command.Context(), found.AppID, name, end)
			if err != nil {
				return err
			}
			// It is printed before anything else can fail: nothing shows it again.
			errs := []error{s.Print(login{AppID: found.AppID, Password: secret, Tenant: found.TenantID}, loginColumns())}
			if !keep {
				for _, old := range found.PasswordCredentials {
					errs = append(errs, d.remove(command.Context(), found.AppID, old.KeyID, false))
				}
			}
			return errors.Join(errs...)
		},
	}
	idFlag(command, &id)
	command.Flags().BoolVar(&keep, "append", false, "keep the other secrets")
	command.Flags().StringVar(&name, "display-name", "", "name of the secret, for people")
	life.addFlags(command)
	return command
}

func newCredentialDelete(s *session.Session) *cobra.Command {
	var id, key string
	var certificate bool
	command := &cobra.Command{
		Use:     "delete",
		Short:   "Remove a secret or a certificate of a service principal",
		Args:    cobra.NoArgs,
		Example: `  berth ad sp credential delete --id 00000000-0000-0000-0000-000000000000 --key-id 00000000-0000-0000-0000-000000000001`,
		RunE: func(command *cobra.Command, _ []string) error {
			d, err := open(s)
			if err != nil {
				return err
			}
			found, err := d.find(command.Context(), id)
			if err != nil {
				return err
			}
			list := found.PasswordCredentials
			if certificate {
				list = found.KeyCredentials
			}
			if !slices.ContainsFunc(list, func(c credential) bool { return strings.EqualFold(c.KeyID, key) }) {
				return failure.NotFound("the service principal has no credential '%s'; 'berth ad sp credential list' shows those that it has", key)
			}
			return d.remove(command.Context(), found.AppID, key, certificate)
		},
	}
	idFlag(command, &id)
	command.Flags().StringVar(&key, "key-id", "", "id of the secret or certificate [required]")
	command.Flags().BoolVar(&certificate, "cert", false, "it is a certificate")
	if err := command.MarkFlagRequired("key-id"); err != nil {
		panic(err) // the flag is two lines above
	}
	return command
}
