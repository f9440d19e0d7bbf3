package app

import (
	"fmt"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"berth.dev/berth/internal/controller/backupschedule"
	"berth.dev/berth/internal/rp/backup"
)

// addBackupSchedules adds the controller that takes backups of clusters by their
// schedules, if this process has controllers. It asks as a caller would, through
// the front end's client.
func (d *daemon) addBackupSchedules(m manager.Manager, front client.Client) error {
	if m == nil {
		return nil
	}
	provider := &backup.Provider{Client: front, Location: d.options.Location, Now: time.Now}
	if err := backupschedule.NewController(m.GetClient(), clock.RealClock{}, provider).Register(m); err != nil {
		return fmt.Errorf("adding the controller backupschedule: %w", err)
	}
	return nil
}
