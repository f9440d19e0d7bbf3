package app

import (
	"fmt"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"berth.dev/berth/internal/controller/powerschedule"
	"berth.dev/berth/internal/rp/containerservice"
)

// addPowerSchedules adds the controller that stops and starts clusters by their
// schedules, if this process has controllers. It asks as a caller would: through
// the front end's client and under the same lock, so that either sees at once
// what room the other gave out.
func (d *daemon) addPowerSchedules(m manager.Manager, front client.Client) error {
	if m == nil {
		return nil
	}
	provider, err := containerservice.NewProvider(containerservice.Options{
		Client: front, Location: d.options.Location, Shared: d.options.shared(), Admission: &d.admission, Now: time.Now,
	})
	if err != nil {
		return fmt.Errorf("making the resource provider of power schedules: %w", err)
	}
	if err := powerschedule.NewController(m.GetClient(), clock.RealClock{}, provider).Register(m); err != nil {
		return fmt.Errorf("adding the controller powerschedule: %w", err)
	}
	return nil
}
