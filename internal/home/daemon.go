package home

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Phase is how far the daemon is.
type Phase string

// The phases of a daemon.
const (
	PhaseStarting Phase = "Starting"
	PhaseReady    Phase = "Ready"
	PhaseFailed   Phase = "Failed"
	PhaseStopped  Phase = "Stopped"
)

// Daemon is where the daemon stands, in its own words. It holds no secret.
type Daemon struct {
	// PID and StartTime (clock ticks since boot) identify the process.
	PID       int    `json:"pid"`
	StartTime uint64 `json:"startTime"`
	// Version is the version of Berth.
	Version string `json:"version"`
	// Phase is how far it is; Message says what it waits for, or why it failed.
	Phase   Phase  `json:"phase"`
	Message string `json:"message,omitempty"`
	// Started is when the process began.
	Started time.Time `json:"started"`
	// Ready is when it first answered; the zero time before that.
	Ready time.Time `json:"ready,omitzero"`
	// ARMEndpoint is the front end on loopback, EdgeEndpoint the one that pods
	// and nodes reach, MetricsEndpoint the metrics and health on loopback.
	ARMEndpoint     string `json:"armEndpoint,omitempty"`
	EdgeEndpoint    string `json:"edgeEndpoint,omitempty"`
	MetricsEndpoint string `json:"metricsEndpoint,omitempty"`
}

// Alive is true if the process that the record names still runs.
func (d Daemon) Alive() bool {
	if d.PID <= 0 {
		return false
	}
	startTime, err := ProcessStartTime(d.PID)
	return err == nil && startTime == d.StartTime
}

// Remains is true as long as anything is left of the process that the record
// names: one that was killed is no longer alive, and holds its lock and its
// ports until its last thread has ended.
func (d Daemon) Remains() bool {
	if d.PID <= 0 {
		return false
	}
	startTime, _, err := processState(d.PID)
	return err == nil && startTime == d.StartTime
}

// ReadDaemon reads the daemon's record; found is false before the first start.
func (h Home) ReadDaemon() (daemon Daemon, found bool, err error) {
	found, err = ReadJSON(h.DaemonFile(), &daemon)
	return daemon, found, err
}

// WriteDaemon stores the daemon's record.
func (h Home) WriteDaemon(daemon Daemon) error {
	return WriteJSON(h.DaemonFile(), daemon, 0o644)
}

// ErrNoProcess says that there is no process of that id.
var ErrNoProcess = errors.New("no such process")

// ProcessStartTime is when a living process started, in clock ticks since
// boot: with the pid it names one process for good. ErrNoProcess for one that
// is gone, a zombie included.
func ProcessStartTime(pid int) (uint64, error) {
	startTime, state, err := processState(pid)
	if err == nil && (state == "Z" || state == "X") {
		return 0, fmt.Errorf("%w: %d has ended", ErrNoProcess, pid)
	}
	return startTime, err
}

// processState is when a process started and the letter of its state.
func processState(pid int) (startTime uint64, state string, err error) {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, "", fmt.Errorf("%w: %d", ErrNoProcess, pid)
	}
	// The command, in parentheses, may hold anything: fields count from the last one.
	_, rest, found := cutLast(string(content), ")")
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 {
		return 0, "", fmt.Errorf("reading the start time of process %d: unexpected format", pid)
	}
	startTime, err = strconv.ParseUint(fields[19], 10, 64)
	return startTime, fields[0], err
}

// cutLast cuts s around the last separator.
func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}
