package app

import (
	"fmt"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"berth.dev/berth/internal/controller/autoupgrade"
	"berth.dev/berth/internal/controller/nodeimage"
	"berth.dev/berth/internal/rp/containerservice"
)

// addAutoUpgrades adds the controllers of upgrade channels and of node images, if this process has
// controllers. It asks as a caller would, through the front end's client.
func (d *daemon) addAutoUpgrades(m manager.Manager, front client.Client) error {
	if m == nil {
		return nil
	}
	provider, err := containerservice.NewProvider(containerservice.Options{
		Client: front, Location: d.options.Location, Shared: d.options.shared(), Admission: &d.admission, AllowNoAgentPools: d.options.AllowNoAgentPools,
		UpgradeSoak: d.options.UpgradeSoak, ControlPlaneSoak: d.options.ControlPlaneSoak, Now: time.Now,
	})
	if err != nil {
		return fmt.Errorf("making the resource provider of upgrade channels: %w", err)
	}
	if err := autoupgrade.NewController(autoupgrade.Config{
		Client: m.GetClient(), Reader: m.GetAPIReader(), Clock: clock.RealClock{}, Runner: provider,
	}).Register(m); err != nil {
		return fmt.Errorf("adding the controller autoupgrade: %w", err)
	}
	if err := nodeimage.NewController(nodeimage.Config{Client: m.GetClient(), Clock: clock.RealClock{}, Runner: provider}).Register(m); err != nil {
		return fmt.Errorf("adding the controller nodeimage: %w", err)
	}
	return nil
}
