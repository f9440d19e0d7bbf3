package main

import (
	"regexp"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2/types"
)

// mostInBatch is how many specs a process runs at most: enough that its start
// does not count, few enough that every worker has some to the end.
const mostInBatch = 8

// batchSize is how many specs a process runs: few if there are few, that no worker is idle.
func batchSize(specs, workers int) int {
	return min(max(specs/(4*workers), 1), mostInBatch)
}

// spread deals specs out to batches: neighbours in the list, which often take
// equally long, go to different ones.
func spread(specs []spec, size int) [][]spec {
	batches := make([][]spec, (len(specs)+size-1)/size)
	for index, one := range specs {
		batch := index % len(batches)
		batches[batch] = append(batches[batch], one)
	}
	return batches
}

// focusOn is the expression that the names of the specs match, and no other's.
func focusOn(specs []spec) string {
	names := make([]string, 0, len(specs))
	for _, one := range specs {
		names = append(names, regexp.QuoteMeta(one.Name))
	}
	return "(" + strings.Join(names, "|") + ")$"
}

// isOf says whether a report is that of the spec.
func isOf(report types.SpecReport, one spec) bool {
	return report.LeafNodeType == types.NodeTypeIt && report.FullText() == one.Name
}

// outcomeIn is how a spec ended of its own accord. One that the end of its
// process cut short has not ended, and one that is skipped without a reason was never begun.
func outcomeIn(reports types.SpecReports, one spec) (got outcome, ended bool) {
	for _, report := range reports {
		if !isOf(report, one) {
			continue
		}
		cut := types.SpecStateInterrupted | types.SpecStateTimedout | types.SpecStateAborted
		if report.State.Is(cut) || report.State.Is(types.SpecStateSkipped) && report.Failure.Message == "" {
			return outcome{}, false
		}
		return outcome{spec: one, State: report.State.String(), Reason: report.Failure.Message, Seconds: report.RunTime.Seconds()}, true
	}
	return outcome{}, false
}

// alone is the outcome of a spec whose process ran nothing else: the time that
// it had, what failed before it, or the crash.
func alone(reports types.SpecReports, one spec, failure error, took time.Duration) outcome {
	got := outcome{spec: one, State: "crashed", Seconds: took.Seconds()}
	if failure != nil {
		got.Reason = failure.Error()
	}
	for _, report := range reports {
		if isOf(report, one) && !report.State.Is(types.SpecStateSkipped) || report.Failed() {
			got.State, got.Reason = report.State.String(), report.Failure.Message
		}
	}
	return got
}
