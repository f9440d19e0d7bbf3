package service

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/app"
	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/serviceca"
)

func newRotateCACommand() *cobra.Command {
	var o app.Options
	var retire, yes bool
	command := &cobra.Command{
		Use:   "rotate-ca",
		Short: "Replace the authority of the service's own certificate",
		Long: `Replace the authority of the service's own certificate, the one that clients trust by
its CA file. New connections are served by the new one from then on; the service is not
restarted. Clients that hold the file of before go on: the old authority vouches for the
new one. Give them the file anew ("berth cloud show" says where it is; "berth cloud
setup-az" for az), and then end the trust in the old authority with --retire. From then
on who still holds only the old file refuses the service.`,
		Example: `  berth admin rotate-ca --yes
  berth admin rotate-ca --retire --yes`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := requireRoot(command); err != nil {
				return err
			}
			if !yes {
				return failure.Usage("this changes whom every client of the service has to trust: say --yes")
			}
			return rotateCA(command, o.Home, retire)
		},
	}
	addHome(command, &o)
	command.Flags().BoolVar(&retire, "retire", false, "end the trust in the authority that was replaced")
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do it")
	return command
}

func rotateCA(command *cobra.Command, dir string, retire bool) error {
	h, err := open(dir)
	if err != nil {
		return err
	}
	shared, err := h.SharesManagement()
	if err != nil {
		return err
	}
	if shared {
		return errors.New("the authority of an install on an external management API lies in its Secret install, which no command replaces yet")
	}
	keeper := serviceca.New(h)
	if retire {
		if err := keeper.Retire(time.Now()); err != nil {
			return err
		}
		_, err := fmt.Fprintf(command.OutOrStdout(), "%s holds the new authority alone; clients that know only the old one refuse the service.\n", h.CAFile())
		return err
	}
	err = keeper.Replace(time.Now())
	if errors.Is(err, serviceca.ErrUnretired) {
		return fmt.Errorf("%w: berth admin rotate-ca --retire --yes", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(command.OutOrStdout(), "%s holds the new authority and the old one. Give it to every client, then: berth admin rotate-ca --retire --yes\n", h.CAFile())
	return err
}
