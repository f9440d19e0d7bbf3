package supervise

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"time"
)

// The bounds of a shelter.
const (
	// shelterSilence is how long nothing may have gone over a component's connections
	// before it is asked to end: what it was asked is answered then.
	shelterSilence = 300 * time.Millisecond
	// shelterPatience is how long that is waited for. Who wants to connect meanwhile
	// gives up after five seconds.
	shelterPatience = 1500 * time.Millisecond
	// shelterLasts is when a port is open again whether its component serves or not.
	shelterLasts = 20 * time.Second
	// shelterEvery is how often a shelter is looked at.
	shelterEvery = 20 * time.Millisecond
)

// ports keep connections waiting (see package shelter).
type ports interface {
	// Close keeps new connections to a port waiting, Seal all that is sent to it;
	// Open lets everything in.
	Close(port uint16) error
	Seal(port uint16) error
	Open() error
	// Silent says that nothing went over a port's connections for a while,
	// Listens that somebody takes new ones.
	Silent(port uint16, since time.Duration) (bool, error)
	Listens(port uint16) (bool, error)
}

// replace asks a component that changed to end, once it has answered what it was
// asked; who asks from then on waits for its successor.
func (s *supervisor) replace(c *component, now time.Time) {
	if c.spec.Shelter != nil && c.sheltered.IsZero() {
		c.sheltered = now
		if err := s.tuning.ports.Close(c.spec.Shelter.Port); err != nil {
			s.log.Error("replacing without a shelter", "component", c.spec.Name, "error", err)
			c.stop(now)
			return
		}
	}
	if c.spec.Shelter != nil && now.Sub(c.sheltered) < shelterPatience && !s.sealed(c.spec.Shelter.Port) {
		return
	}
	c.stop(now)
}

// sealed seals a port over which nothing goes, and says whether it did. What came
// between the look and the seal is seen by another look.
func (s *supervisor) sealed(port uint16) bool {
	if silent, err := s.tuning.ports.Silent(port, shelterSilence); err != nil || !silent {
		return err != nil // nobody can tell
	}
	if err := s.tuning.ports.Seal(port); err != nil {
		return true // closed it is
	}
	if silent, err := s.tuning.ports.Silent(port, shelterSilence); err == nil && !silent {
		return s.tuning.ports.Close(port) != nil
	}
	return true
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
