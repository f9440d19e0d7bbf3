package release

import (
	"testing"
	"time"
)

func TestPackagesAreCountedAsTheCompilerNamesThem(t *testing.T) {
	stale, total := parseStale("false internal/abi\ntrue example.org/a\ntrue example.org/b\nfalse fmt\n\n")
	if total != 4 || len(stale) != 2 {
		t.Fatalf("parsed %d of %d", len(stale), total)
	}
	var last Progress
	report := newReporter(func(p Progress) { last = p }, 1)
	report.now = everLater()
	counter := &packageCounter{stale: stale, total: total, report: report}
	for _, step := range []struct {
		line   string
		done   int
		detail string
	}{
		{"example.org/a", 3, "compiling"},
		{"example.org/a", 3, "compiling"},
		{"# example.org/b", 3, "compiling"},
		{"go: downloading example.org/c v1.0.0", 3, "downloading example.org/c v1.0.0"},
		{"example.org/b", 4, "linking"},
	} {
		counter.line(step.line)
		if last.Done != step.done || last.Total != 4 || last.Detail != step.detail {
			t.Errorf("after %q: %+v", step.line, last)
		}
	}
}

func TestReportsAreThrottledButEveryStepIsTold(t *testing.T) {
	now := time.Unix(0, 0)
	var told []Progress
	report := newReporter(func(p Progress) { told = append(told, p) }, 2)
	report.now = func() time.Time { return now }
	report.step("first")
	for done := range 100 {
		now = now.Add(reportInterval / 50)
		report.packages(done, 100)
	}
	report.step("second")
	if len(told) != 4 {
		t.Fatalf("told %d times, want the two steps and one report each interval: %+v", len(told), told)
	}
	if told[1].Step != "first" || told[1].Elapsed != reportInterval.Seconds() || told[2].Done <= told[1].Done {
		t.Errorf("told %+v, %+v", told[1], told[2])
	}
	if last := told[3]; last.Step != "second" || last.StepIndex != 2 || last.Steps != 2 || last.Total != 0 || last.Elapsed != 0 {
		t.Errorf("the second step began with %+v", last)
	}
}
