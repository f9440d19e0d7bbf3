package release

import (
	"strings"
	"sync"
	"time"
)

// reportInterval is the least time between two reports of one step.
const reportInterval = 500 * time.Millisecond

// reporter passes progress on, at most every reportInterval and at the start
// of each step. It is safe for several goroutines.
type reporter struct {
	tell func(Progress)
	now  func() time.Time

	mu sync.Mutex
	// publish passes it on to processes that wait, while this one builds.
	publish  func(Progress)
	progress Progress
	started  time.Time
	told     time.Time
}

func newReporter(tell func(Progress), steps int) *reporter {
	if tell == nil {
		tell = func(Progress) {}
	}
	return &reporter{tell: tell, now: time.Now, progress: Progress{Steps: steps}}
}

// step begins the next step.
func (r *reporter) step(name string) {
	r.change(true, func(p *Progress) {
		*p = Progress{Step: name, StepIndex: p.StepIndex + 1, Steps: p.Steps}
		r.started = r.now()
	})
}

// detail says what the step does right now.
func (r *reporter) detail(text string) {
	r.change(false, func(p *Progress) { p.Detail = text })
}

// packages says how many packages are compiled.
func (r *reporter) packages(done, total int) {
	r.change(false, func(p *Progress) {
		p.Done, p.Total, p.Detail = done, total, "compiling"
		if done == total {
			p.Detail = "linking"
		}
	})
}

// waiting says that another process builds the step, and how far that is.
func (r *reporter) waiting(other Progress) {
	r.change(false, func(p *Progress) {
		p.Waiting, p.Done, p.Total, p.Detail = true, other.Done, other.Total, other.Detail
	})
}

// building says that this process builds the step now, and where else its
// progress goes.
func (r *reporter) building(publish func(Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.publish = publish
	r.progress.Waiting = false
}

// downloading turns the go command's notices into a detail.
func (r *reporter) downloading(line string) {
	if module, ok := strings.CutPrefix(line, "go: downloading "); ok {
		r.detail("downloading " + module)
	}
}

// tick reports although nothing changed, because time goes on.
func (r *reporter) tick() { r.change(false, func(*Progress) {}) }

func (r *reporter) change(always bool, apply func(*Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	apply(&r.progress)
	now := r.now()
	r.progress.Elapsed = now.Sub(r.started).Seconds()
	if always || now.Sub(r.told) >= reportInterval {
		r.told = now
		r.tell(r.progress)
		if r.publish != nil {
			r.publish(r.progress)
		}
	}
}
