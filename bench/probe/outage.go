package probe

import (
	"slices"
	"time"
)

// longestOutage is the longest time from a question that failed to the next that
// was answered well, 0 if none failed.
func longestOutage(answers []answer) (longest time.Duration) {
	slices.SortFunc(answers, func(a, b answer) int { return a.asked.Compare(b.asked) })
	var since, last time.Time
	for _, a := range answers {
		switch {
		case !a.well && since.IsZero():
			since = a.asked
		case a.well && !since.IsZero():
			longest = max(longest, a.answered.Sub(since))
			since = time.Time{}
		}
		last = a.answered
	}
	if !since.IsZero() {
		longest = max(longest, last.Sub(since))
	}
	return longest
}
