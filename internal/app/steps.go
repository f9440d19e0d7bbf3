package app

import (
	"strings"
	"time"
)

// stepsInterval is how often a step that goes on is worth another line.
const stepsInterval = 15 * time.Second

// Steps thins out progress for those who cannot redraw a line: each step is
// told when it begins, and again from time to time while it goes on.
type Steps struct {
	// Now is the clock; time.Now if nil.
	Now func() time.Time

	last string
	at   time.Time
}

// Worth says whether a message is worth a line.
func (s *Steps) Worth(message string) bool {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	// What comes after the step's name changes all the time: packages, seconds.
	step, _, _ := strings.Cut(message, "):")
	if message == "" || step == s.last && now().Sub(s.at) < stepsInterval {
		return false
	}
	s.last, s.at = step, now()
	return true
}
