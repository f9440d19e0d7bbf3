package supervise

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"time"
)

// The bounds of a shelter. Who connects meanwhile gives up when TLS has not begun after ten seconds.
const (
	// shelterBegun is how long connections that began before may come about and ask
	// what they were made for.
	shelterBegun = 400 * time.Millisecond
	// shelterSilence is how long nothing may have gone over a component's connections
	// before it is asked to end: what it was asked is answered then.
	shelterSilence = 400 * time.Millisecond
	// shelterPatience is how long that is waited for. What takes longer, as a shell
	// that somebody has open, is cut off.
	shelterPatience = 2 * time.Second
	// shelterLasts is when a port is open again whether its component serves or not.
	shelterLasts = 20 * time.Second
	// shelterEvery is how often a shelter is looked at.
	shelterEvery = 20 * time.Millisecond
)

// ports keep who asks something of them waiting (see package shelter).
type ports interface {
	// Close keeps new connections to a port waiting, Seal whatever is asked of it;
	// Open lets everything in.
	Close(port uint16) error
	Seal(port uint16) error
	Open() error
	// Silent says that all that was asked of a port is answered, and that nothing
	// went over its connections for a while; Listens that somebody takes new ones.
	Silent(port uint16, since time.Duration) (bool, error)
	Listens(port uint16) (bool, error)
}

// replace asks a component that changed to end, once it has answered what it was
// asked; who asks from then on waits for its successor.
func (s *supervisor) replace(c *component, now time.Time) {
	if c.spec.Shelter != nil && c.sheltered.IsZero() {
		c.sheltered, c.sealed = now, false
		if err := s.tuning.ports.Close(c.spec.Shelter.Port); err != nil {
			s.log.Error("replacing without a shelter", "component", c.spec.Name, "error", err)
			c.stop(now)
			return
		}
	}
	if c.spec.Shelter == nil || s.answered(c, now) {
		c.stop(now)
	}
}

// answered brings a component that is sheltered to where nothing is asked of it any
// more, and says whether it has answered everything, or had its time for that.
// It is sealed before it is believed to be silent, even if somebody is never done
// asking: then it is answering what came before, and that alone.
func (s *supervisor) answered(c *component, now time.Time) bool {
	if now.Sub(c.sheltered) >= shelterPatience {
		return true
	}
	silent, err := s.tuning.ports.Silent(c.spec.Shelter.Port, shelterSilence)
	if err != nil {
		return true // nobody can tell
	}
	if !c.sealed && (silent || now.Sub(c.sheltered) >= shelterBegun) {
		c.sealed = true
		return s.tuning.ports.Seal(c.spec.Shelter.Port) != nil // closed it is
	}
	return c.sealed && silent
}

// openShelters lets in who waits for a component that serves by now, or that had
// its time. It says whether one is still closed.
func (s *supervisor) openShelters(now time.Time) (closed bool) {
	for _, c := range s.components {
		if c.sheltered.IsZero() {
			continue
		}
		if now.Sub(c.sheltered) < shelterLasts && (c.outdated || !s.serves(c)) {
			closed = true
			continue
		}
		if err := s.tuning.ports.Open(); err != nil {
			s.log.Error("opening a shelter", "component", c.spec.Name, "error", err)
			closed = true
			continue
		}
		s.log.Info("replaced", "component", c.spec.Name, "took", now.Sub(c.sheltered).Round(time.Millisecond))
		c.sheltered = time.Time{}
	}
	return closed
}

// serves says that a component takes connections and has what it needs for them.
func (s *supervisor) serves(c *component) bool {
	if c.spec.Shelter == nil {
		return true
	}
	if c.running == nil || c.running.stopping {
		return false
	}
	if _, err := os.Stat(c.spec.Shelter.Until); c.spec.Shelter.Until != "" && err != nil {
		return false
	}
	if c.spec.Shelter.UntilSaid != "" && !s.said(c) {
		return false
	}
	listens, err := s.tuning.ports.Listens(c.spec.Shelter.Port)
	return listens || err != nil
}

// shelterLog is how much of a log is read for what a component said.
const shelterLog = 4 << 20

// said says that a component wrote to its log what its shelter waits for, since it
// was started. A log that was rotated meanwhile is read from its beginning.
func (s *supervisor) said(c *component) bool {
	log, err := s.root.Open(filepath.Join(LogDir, c.spec.Name+".log"))
	if err != nil {
		return false
	}
	defer log.Close()
	from := c.logged
	if info, err := log.Stat(); err != nil || info.Size() < from {
		from = 0
	}
	text, err := io.ReadAll(io.NewSectionReader(log, from, shelterLog))
	return err == nil && bytes.Contains(text, []byte(c.spec.Shelter.UntilSaid))
}
