package app

import (
	"log/slog"
	"os"
	"sync"
	"time"

	"berth.dev/berth/internal/home"
)

// record is what the daemon says of itself in <home>/daemon.json: whoever
// waits for it, and "berth status", reads it there.
type record struct {
	home home.Home
	log  *slog.Logger

	mu     sync.Mutex
	daemon home.Daemon
	steps  Steps
}

func newRecord(h home.Home, log *slog.Logger) (*record, error) {
	startTime, err := home.ProcessStartTime(os.Getpid())
	if err != nil {
		return nil, err
	}
	r := &record{home: h, log: log, daemon: home.Daemon{
		PID: os.Getpid(), StartTime: startTime, Version: BuildVersion(), Phase: home.PhaseStarting, Started: time.Now().UTC(),
	}}
	return r, h.WriteDaemon(r.daemon)
}

// Report says what the daemon is doing.
func (r *record) Report(message string) {
	r.update(func(d *home.Daemon) {
		d.Message = message
		if r.steps.Worth(message) {
			r.log.Info(message)
		}
	})
}

// update changes the record. That it cannot be written is no reason to stop a
// daemon that works otherwise.
func (r *record) update(change func(*home.Daemon)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.daemon)
	if err := r.home.WriteDaemon(r.daemon); err != nil {
		r.log.Warn("cannot write the daemon's record", "error", err)
	}
}
