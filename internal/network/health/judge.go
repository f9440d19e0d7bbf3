package health

// The thresholds: so many answers in a row of one kind change what is thought
// of a backend. With a probe a second that waits at most one for its answer, a
// node that dies is out after three seconds, and a lost packet puts nobody out.
const (
	failuresUntilDown  = 2
	successesUntilBack = 2
)

// judgement is what is thought of one probe's target.
type judgement struct {
	down bool
	// row is how many answers in a row spoke against that.
	row int
}

// unheard is what is thought of a target that counts as failing because nobody
// has heard from it: one answer is enough.
func unheard() *judgement {
	return &judgement{down: true, row: successesUntilBack - 1}
}

// hear takes one answer and says whether the judgement changed.
func (j *judgement) hear(healthy bool) (changed bool) {
	if healthy != j.down {
		j.row = 0
		return false
	}
	j.row++
	if j.down && j.row < successesUntilBack || !j.down && j.row < failuresUntilDown {
		return false
	}
	j.down, j.row = !j.down, 0
	return true
}
