package app

import (
	"testing"
	"time"

	"berth.dev/berth/internal/host/agent"
	"berth.dev/berth/internal/release"
)

func TestProgressIsALineForEachStepAndOneFromTimeToTime(t *testing.T) {
	now := time.Now()
	steps := Steps{Now: func() time.Time { return now }}
	lines := 0
	for index := 1; index <= 3; index++ {
		for second := range 20 {
			p := release.Progress{Step: "part", StepIndex: index, Steps: 3, Detail: "compiling", Done: second, Total: 20, Elapsed: float64(second)}
			if steps.Worth(agent.Describe(p)) {
				lines++
			}
			now = now.Add(time.Second)
		}
	}
	if lines != 6 { // each of three steps when it begins and once after 15 s
		t.Errorf("%d lines", lines)
	}
}
