// Package supervise keeps a set of processes running without Berth's daemon.
//
// One supervisor process stands beside every control plane and is the first
// process of every machine. It reads a Spec from a file, starts the components
// in order, each once its gate opens, restarts those that die, rotates their
// logs and writes a Status file. Whoever wrote the Spec may die: nothing here
// depends on it. The supervisor knows nothing of Kubernetes; what it is to run
// comes as data.
//
//	<dir>/spec.json     written by the owner (atomic rename); SIGHUP, or the next look, picks it up
//	<dir>/status.json   written by the supervisor (atomic rename)
//	<dir>/lock          held by the supervisor (flock): one per directory
//	<dir>/log/<name>.log  append-only, rotated by copy and truncate
package supervise

import "time"

// Spec is everything a supervisor is to run, in start order; they are stopped
// in the reverse order.
type Spec struct {
	// Components in start order.
	Components []Component `json:"components"`
	// Revision names the content of the files that the components are started
	// with; the status repeats it once that was looked at.
	Revision string `json:"revision,omitempty"`
	// Stop asks the supervisor to stop all components and to end.
	Stop bool `json:"stop,omitempty"`
}

// NoMemoryProfile is an entry of the environment of a Go program that is not to
// sample its allocations: nobody may ask for the profile, and its records and the
// memory that they scatter are up to 10 MB of a component of Kubernetes.
const NoMemoryProfile = "GODEBUG=memprofilerate=0"

// Component is one process.
type Component struct {
	// Name is unique within the spec; it names the log file.
	Name string `json:"name"`
	// Command is the absolute path of the program and its arguments. It holds
	// no secrets: anyone on the host can read a command line.
	Command []string `json:"command"`
	// Arg0 replaces the first argument as the program sees it, and whoever lists processes.
	Arg0 string `json:"arg0,omitempty"`
	// Env is the whole environment, KEY=value.
	Env []string `json:"env,omitempty"`
	// Dir is the working directory.
	Dir string `json:"dir,omitempty"`
	// Gate must open before each start.
	Gate *Probe `json:"gate,omitempty"`
	// Once marks a program that runs to its end once and is not restarted
	// after it exited with 0; later components wait for it.
	Once bool `json:"once,omitempty"`
	// StopTimeout is how long the process has between SIGTERM and SIGKILL;
	// 0 means ten seconds.
	StopTimeout time.Duration `json:"stopTimeout,omitempty"`
	// ChangeTimeout is StopTimeout where a changed component replaces the process:
	// less for one that loses nothing when it is killed, and that otherwise keeps its
	// clients waiting as it ends; 0 means StopTimeout.
	ChangeTimeout time.Duration `json:"changeTimeout,omitempty"`
	// Linger is how long the process goes on as if nothing had been once its component
	// is no longer listed, unless all stop: who connected to it just before it was led
	// past it can still ask what they connected for.
	Linger time.Duration `json:"linger,omitempty"`
	// OOMScoreAdj is written to the process's oom_score_adj when it is not 0.
	OOMScoreAdj int `json:"oomScoreAdj,omitempty"`
	// TimerSlack is how much later than asked the kernel may wake the process, so that it
	// wakes once for several timers; what it is sent wakes it at once. 0 is the
	// kernel's 50 µs. It counts from the next start. prctl(2), PR_SET_TIMERSLACK.
	TimerSlack time.Duration `json:"timerSlack,omitempty"`
	// RestartOnChange lists files whose change restarts the component.
	RestartOnChange []string `json:"restartOnChange,omitempty"`
	// StayUntilOpen keeps a process that runs as it was started when its component
	// changes, until the changed component's gate is open: what its successor
	// needs is there when it goes.
	StayUntilOpen bool `json:"stayUntilOpen,omitempty"`
	// Hold keeps a process that runs as it was started when its component
	// changes; those after it wait. One that does not run is started as the
	// component says now.
	Hold bool `json:"hold,omitempty"`
	// Shelter keeps who connects to the component waiting while a changed one
	// replaces it; nil lets them be refused.
	Shelter *Shelter `json:"shelter,omitempty"`
}

// Shelter is where a component is connected to.
type Shelter struct {
	// Port is the TCP port that it listens on, in the supervisor's network namespace.
	Port uint16 `json:"port"`
	// Until is a file that is there once a component that listens can serve; empty:
	// it can at once.
	Until string `json:"until,omitempty"`
	// UntilSaid is what such a component has written to its log by then; empty: nothing.
	UntilSaid string `json:"untilSaid,omitempty"`
}

// Probe is a condition on something outside the supervisor. Exactly one of
// TCP, Unix, HTTPS and File is set.
type Probe struct {
	// TCP is host:port that must accept a connection.
	TCP string `json:"tcp,omitempty"`
	// Metric is a Prometheus metric of which what listens at TCP, on loopback, must
	// serve a sample; empty: it need not.
	Metric string `json:"metric,omitempty"`
	// Unix is the path of a socket that must accept a connection.
	Unix string `json:"unix,omitempty"`
	// File is a path that must exist.
	File string `json:"file,omitempty"`
	// HTTPS is a URL that must answer 200, verified against CAFile.
	HTTPS string `json:"https,omitempty"`
	// CAFile verifies the server; CertFile and KeyFile, or TokenFile (a bearer
	// token), identify the supervisor. With all three the token does while CertFile
	// does not exist or has ended: what a one-time token brought about goes on
	// without it.
	CAFile    string `json:"caFile,omitempty"`
	CertFile  string `json:"certFile,omitempty"`
	KeyFile   string `json:"keyFile,omitempty"`
	TokenFile string `json:"tokenFile,omitempty"`
	// ServerName overrides the name that the server's certificate must carry.
	ServerName string `json:"serverName,omitempty"`
}

// Status is what a supervisor last saw.
type Status struct {
	// PID and StartTime (clock ticks since boot, field 22 of /proc/<pid>/stat)
	// identify the supervisor.
	PID       int    `json:"pid"`
	StartTime uint64 `json:"startTime"`
	// Revision is that of the spec which Outdated speaks of; empty if the spec has none.
	Revision string `json:"revision,omitempty"`
	// Components in the order of the spec.
	Components []ComponentStatus `json:"components"`
}

// ComponentStatus is one process as last seen.
type ComponentStatus struct {
	Name string `json:"name"`
	// PID is 0 while the process is not running; StartTime goes with it.
	PID       int    `json:"pid"`
	StartTime uint64 `json:"startTime,omitempty"`
	// Outdated is true while it runs as its component said earlier, or is no longer
	// one of the spec.
	Outdated bool `json:"outdated,omitempty"`
	// Waiting says what the gate waits for.
	Waiting string `json:"waiting,omitempty"`
	// Ended is true while the certificate of its gate has ended, so that the token
	// is needed in its place.
	Ended bool `json:"ended,omitempty"`
	// Done is true for a Once component that ended with 0.
	Done bool `json:"done,omitempty"`
	// Restarts counts the deaths since the supervisor started; LastExit says how it died last.
	Restarts int    `json:"restarts"`
	LastExit string `json:"lastExit,omitempty"`
}

// The files in a supervisor's directory.
const (
	SpecFile   = "spec.json"
	StatusFile = "status.json"
	LockFile   = "lock"
	LogDir     = "log"
)
