package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestAJobRunsOnceAndTellsItsEndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work, failure := newJobs(), errors.New("failed")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- work.Start(ctx) }()
		synctest.Wait()
		runs, release := 0, make(chan struct{})
		step := func(context.Context) (int64, error) { runs++; <-release; return 7, failure }
		for range 3 {
			if done, _, _ := work.Do("a", step); done || !work.Runs("a") {
				t.Fatal("it ended before its work did")
			}
		}
		close(release)
		synctest.Wait()
		if done, number, err := work.Do("a", step); !done || number != 7 || !errors.Is(err, failure) || runs != 1 {
			t.Fatalf("%t, %d, %v after %d runs", done, number, err, runs)
		}
		if done, _, _ := work.Do("a", step); done {
			t.Fatal("an end was told twice")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

func TestNoJobBeginsBeforeTheManagerDoes(t *testing.T) {
	work := newJobs()
	if done, _, _ := work.Do("a", func(context.Context) (int64, error) { t.Error("it ran"); return 0, nil }); done || work.Runs("a") {
		t.Fatal("a job began without a manager")
	}
}
