package aks

import (
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/failure"
)

const (
	enableForceFlag  = "enable-force-upgrade"
	disableForceFlag = "disable-force-upgrade"
	untilFlag        = "upgrade-override-until"
)

// forceDays is how long upgrades may pass over what preflight finds where
// nobody said until when, as with az's flags of the same names.
const forceDays = 3

// forceFlags say whether upgrades may pass over what preflight finds.
type forceFlags struct {
	enable, disable bool
	until           string
}

func (f *forceFlags) add(command *cobra.Command) {
	command.Flags().BoolVar(&f.enable, enableForceFlag, false, "let upgrades pass over what preflight finds")
	command.Flags().BoolVar(&f.disable, disableForceFlag, false, "hold upgrades up by what preflight finds again")
	command.Flags().StringVar(&f.until, untilFlag, "", fmt.Sprintf("with --%s, until when such upgrades may begin, as in 2027-01-31T12:00:00Z (default in %d days)", enableForceFlag, forceDays))
	command.MarkFlagsMutuallyExclusive(enableForceFlag, disableForceFlag)
	command.MarkFlagsMutuallyExclusive(untilFlag, disableForceFlag)
}

// settings are what is to be sent at now, nil if nothing was said of it. The
// error is one of the command line.
func (f *forceFlags) settings(now time.Time) (*armcontainerservice.ClusterUpgradeSettings, error) {
	switch {
	case f.disable:
		return overrideSettings(false, nil), nil
	case f.enable && f.until == "":
		end := now.Add(forceDays * 24 * time.Hour).UTC().Truncate(time.Second)
		return overrideSettings(true, &end), nil
	case f.enable:
		end, err := time.Parse(time.RFC3339, f.until)
		if err != nil {
			return nil, failure.Usage("--%s: %q is no time such as 2027-01-31T12:00:00Z", untilFlag, f.until)
		}
		return overrideSettings(true, &end), nil
	case f.until != "":
		return nil, failure.Usage("--%s goes with --%s", untilFlag, enableForceFlag)
	}
	return nil, nil
}

func overrideSettings(force bool, until *time.Time) *armcontainerservice.ClusterUpgradeSettings {
	return &armcontainerservice.ClusterUpgradeSettings{
		OverrideSettings: &armcontainerservice.UpgradeOverrideSettings{ForceUpgrade: &force, Until: until},
	}
}
