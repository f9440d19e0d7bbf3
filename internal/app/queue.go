package app

import (
	"fmt"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"berth.dev/berth/internal/controller/queue"
	"berth.dev/berth/internal/rp/containerservice"
)

// addQueue adds the controller of queued operations, if this process has
// controllers. It asks as a caller would: through the front end's client and
// under the same lock.
func (d *daemon) addQueue(m manager.Manager, front client.Client) error {
	if m == nil {
		return nil
	}
	provider, err := containerservice.NewProvider(containerservice.Options{
		Client: front, Location: d.options.Location, Shared: d.options.shared(), Admission: &d.admission, AllowNoAgentPools: d.options.AllowNoAgentPools,
		RecordUnsupported: d.options.UnsupportedProperties == recordUnsupported, UpgradeSoak: d.options.UpgradeSoak, ControlPlaneSoak: d.options.ControlPlaneSoak, Now: time.Now,
	})
	if err != nil {
		return fmt.Errorf("making the resource provider of queued operations: %w", err)
	}
	if err := queue.NewController(queue.Config{
		Client: m.GetClient(), Clock: clock.RealClock{}, History: d.history, Runner: provider, ResourceID: containerservice.IDOf,
	}).Register(m); err != nil {
		return fmt.Errorf("adding the controller queue: %w", err)
	}
	return nil
}
