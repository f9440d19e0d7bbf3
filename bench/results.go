package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"text/tabwriter"
)

// result is one line of bench/results.json.
type result struct {
	// Name says what was measured.
	Name string `json:"name"`
	// N is the number of runs; P50 and P95 are over them, in Unit.
	N    int     `json:"n"`
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	Unit string  `json:"unit"`
	// Better is "lower" or "higher".
	Better string `json:"better"`
	// Target is the most (or least) that P50 may be; with a baseline it is the
	// most that Ratio may be.
	Target float64 `json:"target"`
	// Met says whether the target was met.
	Met bool `json:"met"`
	// Baseline is the median of the raw components in the same run, 0 where
	// there is none, and Ratio is P50 over it.
	Baseline float64 `json:"baseline"`
	Ratio    float64 `json:"ratio"`
	// CPUSeconds is the median CPU time where it was measured.
	CPUSeconds float64 `json:"cpu_s"`
}

// samples are the figures of one measurement in seconds.
type samples struct {
	name     string
	seconds  []float64
	cpu      []float64
	baseline []float64
	// limit is in seconds, or a ratio to the baseline if there is one.
	limit float64
}

func (s samples) result() result {
	r := result{
		Name: s.name, N: len(s.seconds), Unit: "s", Better: "lower", Target: s.limit,
		P50: quantile(s.seconds, 0.5), P95: quantile(s.seconds, 0.95), CPUSeconds: quantile(s.cpu, 0.5),
	}
	if len(s.baseline) > 0 {
		r.Baseline = quantile(s.baseline, 0.5)
		r.Ratio = round(r.P50 / r.Baseline)
		r.Met = r.N > 0 && r.Ratio <= s.limit
		return r
	}
	r.Met = r.N > 0 && r.P50 <= s.limit
	return r
}

// quantile is the nearest-rank quantile, rounded to milliseconds; 0 of nothing.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return round(sorted[int(math.Ceil(q*float64(len(sorted))))-1])
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// report writes results.json and prints a table; it fails if a target is missed.
func report(out io.Writer, path string, all []samples) error {
	var results []result
	missed := 0
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tN\tP50\tP95\tBASELINE\tRATIO\tTARGET\tMET")
	for _, s := range all {
		r := s.result()
		results = append(results, r)
		if !r.Met {
			missed++
		}
		fmt.Fprintf(table, "%s\t%d\t%.3f s\t%.3f s\t%.3f\t%.2f\t%.2f\t%v\n", r.Name, r.N, r.P50, r.P95, r.Baseline, r.Ratio, r.Target, r.Met)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	content, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o644); err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d targets missed", missed, len(results))
	}
	return nil
}
