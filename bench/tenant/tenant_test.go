package tenant

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestTheTimeOfAnAnswerBeginsWhenItsQuestionIsDue(t *testing.T) {
	var asked atomic.Int32
	took, err := AtRate(t.Context(), 100, 200*time.Millisecond, func(context.Context, int) error {
		if asked.Add(1) == 1 {
			time.Sleep(50 * time.Millisecond) // an answer that takes long must not hold up the next question
		}
		return nil
	})
	if err != nil || len(took) != 20 || asked.Load() != 20 {
		t.Fatalf("%d of %d were asked, want 20: %v", asked.Load(), len(took), err)
	}
	slow := 0
	for _, d := range took {
		if d >= 50*time.Millisecond {
			slow++
		}
	}
	if slow < 1 || slow == len(took) {
		t.Errorf("%d of %d answers took the time of the slow one", slow, len(took))
	}
}

func TestAFailedAnswerFailsTheMeasurement(t *testing.T) {
	failed := errors.New("refused")
	_, err := AtRate(t.Context(), 100, 50*time.Millisecond, func(_ context.Context, n int) error {
		if n == 3 {
			return failed
		}
		return nil
	})
	if !errors.Is(err, failed) {
		t.Errorf("got %v, want %v", err, failed)
	}
}

func TestThe99thPercentileLeavesOutOneOfAHundred(t *testing.T) {
	var took []time.Duration
	for n := range 200 {
		took = append(took, time.Duration(n+1))
	}
	if got := P99(took); got != 198 {
		t.Errorf("got %d, want 198", got)
	}
	if got := P99(nil); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}
