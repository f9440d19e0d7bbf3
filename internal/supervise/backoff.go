package supervise

import "time"

// backoff spaces the restarts of one component: the first is almost at once,
// each further one waits twice as long, until the component has run for a while.
type backoff struct {
	delay time.Duration
}

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 10 * time.Second
	backoffReset = 30 * time.Second
)

// next is how long to wait before starting a process again that ran for a time.
func (b *backoff) next(ran time.Duration) time.Duration {
	switch {
	case b.delay == 0 || ran >= backoffReset:
		b.delay = backoffFirst
	default:
		b.delay = min(2*b.delay, backoffMost)
	}
	return b.delay
}
