package app

import (
	"fmt"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"berth.dev/berth/internal/controller/prestarted"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/rp/containerservice"
)

// addPrestarted adds the controller of the control planes that are started ahead
// of their clusters, if this process has controllers.
func (d *daemon) addPrestarted(m manager.Manager, l *listening) error {
	if m == nil {
		return nil
	}
	usual, _ := release.Resolve("") // there is a default, which a test of the catalog sees to
	if err := prestarted.NewController(prestarted.Config{
		Client: m.GetClient(), Reader: m.GetAPIReader(), Clock: clock.RealClock{}, Releases: d.releases, Size: d.options.Prestarted,
		Version: usual.Version, ServiceCIDR: containerservice.DefaultServiceCIDR,
		Location: d.options.Location, Zone: d.options.DNSZone, TenantID: l.identity.TenantID,
	}).Register(m); err != nil {
		return fmt.Errorf("adding the controller of pre-started control planes: %w", err)
	}
	return nil
}
