package supervise

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/supervise/shelter"
)

// tuning is what tests make smaller.
type tuning struct {
	// gateEvery is the time between two looks at a gate.
	gateEvery time.Duration
	// lookEvery is the time between two looks at the spec, the watched files and the logs.
	lookEvery time.Duration
	// A log is rotated at rotateAt bytes; rotateKeep old ones are kept.
	rotateAt   int64
	rotateKeep int
	// ports are those of the supervisor's network namespace.
	ports ports
}

func defaults() tuning {
	return tuning{gateEvery: 25 * time.Millisecond, lookEvery: time.Second, rotateAt: 10 << 20, rotateKeep: 3, ports: &shelter.Ports{}}
}

// Run supervises a directory until its spec says stop, or the context ends, or
// SIGTERM or SIGINT arrives: each of them stops all components in the reverse
// order first. It returns nil once all have stopped. As the first process of a
// pid namespace it also waits for the orphans there.
//
// It adopts what a supervisor that was killed left running, and needs no
// network of its own beyond what gates ask for.
func Run(ctx context.Context, dir string) error { return run(ctx, dir, defaults()) }

func run(ctx context.Context, dir string, tuning tuning) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("supervising: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("supervising: %w", err)
	}
	defer root.Close()
	s := &supervisor{
		dir: dir, root: root, tuning: tuning,
		log:    slog.New(slog.NewTextHandler(os.Stderr, nil)),
		events: make(chan event),
	}
	// From here on a signal is an event: the status, by which others find this process, is written later.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGCHLD, unix.SIGHUP, unix.SIGTERM, unix.SIGINT)
	defer signal.Stop(signals)
	lock, err := acquire(root)
	if err != nil {
		return fmt.Errorf("supervising %s: %w", dir, err)
	}
	defer lock.Close()
	if err := s.begin(); err != nil {
		return fmt.Errorf("supervising %s: %w", dir, err)
	}
	return s.loop(ctx, signals)
}

// supervisor is the state of a running supervisor; all of it belongs to loop.
type supervisor struct {
	dir    string
	root   *os.Root
	tuning tuning
	log    *slog.Logger

	spec       Spec
	components []*component
	// removed are components that are no longer in the spec and still run.
	removed    []*component
	identities identities
	// ending is true once a signal or the context asked for the end.
	ending bool

	// events come from the watchers; each watcher ends when its context does.
	events   chan event
	watchers sync.WaitGroup
	written  []byte
	// startTime is the supervisor's own.
	startTime uint64
	specSeen  os.FileInfo
}

// event is what a watcher saw.
type event struct {
	component *component
	// gate is the context under which the gate was watched; an event of a
	// gate that was left since is void.
	gate context.Context
	// open says that the gate is open; waiting what it waits for.
	open    bool
	waiting string
	// ended is the adopted process that ended.
	ended *process
}

// begin reads the spec and adopts what runs.
func (s *supervisor) begin() error {
	self, err := readStat(os.Getpid())
	if err != nil {
		return err
	}
	s.startTime = self.startTime
	if err := os.MkdirAll(filepath.Join(s.dir, LogDir), 0o700); err != nil {
		return err
	}
	running, err := findComponents(s.dir)
	if err != nil {
		return err
	}
	if err := s.readSpec(); err != nil {
		return err
	}
	known := map[string]*component{}
	for _, c := range s.components {
		if c.spec.Shelter != nil {
			if err := s.tuning.ports.Open(); err != nil { // a supervisor that was killed may have left it closed
				s.log.Error("opening a shelter", "component", c.spec.Name, "error", err)
			}
		}
		known[c.spec.Name] = c
	}
	now := time.Now()
	for name, process := range running {
		c := known[name]
		if c == nil {
			c = &component{spec: Component{Name: name}}
			s.removed = append(s.removed, c)
		}
		if err := c.adopt(process, now); err != nil {
			return err
		}
		s.log.Info("adopted", "component", name, "pid", process.pid)
	}
	return nil
}

// loop acts on events until all components have stopped for good.
func (s *supervisor) loop(ctx context.Context, signals <-chan os.Signal) error {
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer s.watchers.Wait()
	defer stopWatching()
	for _, c := range append(s.components, s.removed...) {
		if c.running != nil {
			s.watchAdopted(watching, c)
		}
	}
	look := time.NewTicker(s.tuning.lookEvery)
	defer look.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	ended := ctx.Done()
	for {
		finished, wake := s.step(watching, time.Now())
		if err := s.writeStatus(); err != nil {
			s.log.Error("writing the status", "error", err) // components matter more than what is said of them
		}
		if finished {
			return nil
		}
		timer.Reset(time.Until(wake))
		select {
		case <-ended:
			ended, s.ending = nil, true
		case got := <-signals:
			s.handleSignal(got)
		case e := <-s.events:
			s.handle(e, time.Now())
		case <-look.C:
			s.look()
		case <-timer.C:
		}
	}
}

func (s *supervisor) handleSignal(got os.Signal) {
	switch got {
	case unix.SIGCHLD:
		s.reap(time.Now())
	case unix.SIGHUP:
		s.reload()
	default:
		s.ending = true
	}
}

// handle takes in what a watcher saw.
func (s *supervisor) handle(e event, now time.Time) {
	c := e.component
	switch {
	case e.ended != nil:
		if c.running == e.ended {
			s.log.Info("ended", "component", c.spec.Name, "pid", e.ended.pid)
			c.ended("ended under another supervisor's watch", false, now)
		}
	case e.gate.Err() != nil:
	case e.open:
		c.open, c.waiting = true, ""
	default:
		c.waiting = e.waiting
	}
}

// look does what nothing announces: a spec without a signal, a log that has grown,
// a certificate that ends.
func (s *supervisor) look() {
	if info, err := s.root.Stat(SpecFile); err == nil && !sameVersion(info, s.specSeen) {
		s.reload()
	}
	names := []string{supervisorLog}
	for _, c := range s.components {
		names = append(names, c.spec.Name)
		c.identityEnded = c.spec.Gate.ended(time.Now())
	}
	for _, name := range names {
		if err := Rotate(s.dir, name, s.tuning.rotateAt, s.tuning.rotateKeep); err != nil {
			s.log.Error("rotating", "component", name, "error", err)
		}
	}
}

func sameVersion(a, b os.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// reload reads the spec; one that cannot be read changes nothing.
func (s *supervisor) reload() {
	if err := s.readSpec(); err != nil {
		s.log.Error("reading the spec: keeping the former one", "error", err)
	}
}

func (s *supervisor) readSpec() error {
	info, err := s.root.Stat(SpecFile)
	if err != nil {
		return err
	}
	s.specSeen = info
	var spec Spec
	if err := read(s.root, SpecFile, &spec); err != nil {
		return err
	}
	if err := spec.Validate(); err != nil {
		return err
	}
	s.adoptSpec(spec)
	return nil
}

// adoptSpec puts the components in the order of a new spec. What is no longer
// in it is stopped.
func (s *supervisor) adoptSpec(spec Spec) {
	former := map[string]*component{}
	for _, c := range append(s.components, s.removed...) {
		former[c.spec.Name] = c
	}
	s.spec, s.components, s.removed = spec, nil, nil
	for _, wanted := range spec.Components {
		c := former[wanted.Name]
		if c == nil {
			c = &component{}
		}
		delete(former, wanted.Name)
		if !sameGate(c.spec.Gate, wanted.Gate) {
			c.leaveGate()
		}
		c.spec, c.unlisted = wanted, time.Time{}
		s.components = append(s.components, c)
	}
	for _, c := range former {
		c.leaveGate()
		if c.running != nil {
			s.removed = append(s.removed, c)
		}
	}
}

func sameGate(a, b *Probe) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}
