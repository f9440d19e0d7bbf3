package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	// Target is the most (the least where higher is better) that P50 may be; with
	// a baseline it is the most that Ratio may be.
	Target float64 `json:"target"`
	// Met says whether the target was met.
	Met bool `json:"met"`
	// Baseline is the median of the raw components in the same run, 0 where
	// there is none, and Ratio is P50 over it.
	Baseline float64 `json:"baseline"`
	Ratio    float64 `json:"ratio"`
	// CPUSeconds is the median CPU time where it was measured; where load was
	// generated, that of the generator in each second.
	CPUSeconds float64 `json:"cpu_s"`
}

// samples are the figures of one measurement.
type samples struct {
	name string
	// values are in unit, seconds if that is empty.
	values []float64
	unit   string
	// higher says that more is better.
	higher   bool
	cpu      []float64
	baseline []float64
	// limit is in unit, or a ratio to the baseline if there is one.
	limit float64
}

func (s samples) result() result {
	r := result{
		Name: s.name, N: len(s.values), Unit: s.unit, Better: "lower", Target: s.limit,
		P50: quantile(s.values, 0.5), P95: quantile(s.values, 0.95), CPUSeconds: quantile(s.cpu, 0.5),
	}
	if r.Unit == "" {
		r.Unit = "s"
	}
	judged := r.P50
	if len(s.baseline) > 0 {
		r.Baseline = quantile(s.baseline, 0.5)
		r.Ratio = round(r.P50 / r.Baseline)
		judged = r.Ratio
	}
	if s.higher {
		r.Better, r.P95 = "higher", quantile(s.values, 0.05) // the worse end
		r.Met = r.N > 0 && judged >= s.limit
	} else {
		r.Met = r.N > 0 && judged <= s.limit
	}
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

// report prints a table of what was measured and writes it to results.json, where
// what was not measured stays; it fails if a target is missed.
func report(out io.Writer, path string, all []samples) error {
	var measured []result
	missed := 0
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tN\tP50\tP95\tUNIT\tCPU\tBASELINE\tRATIO\tTARGET\tMET")
	for _, s := range all {
		r := s.result()
		measured = append(measured, r)
		if !r.Met {
			missed++
		}
		fmt.Fprintf(table, "%s\t%d\t%.3f\t%.3f\t%s\t%.2f\t%.3f\t%.2f\t%g\t%v\n",
			r.Name, r.N, r.P50, r.P95, r.Unit, r.CPUSeconds, r.Baseline, r.Ratio, r.Target, r.Met)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	results, err := merge(path, measured)
	if err != nil {
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
		return fmt.Errorf("%d of %d targets missed", missed, len(measured))
	}
	return nil
}

// merge puts what was measured in the place of the results of the same name.
func merge(path string, measured []result) ([]result, error) {
	var results []result
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, &results)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the results so far: %w", err)
	}
	for _, r := range measured {
		at := slices.IndexFunc(results, func(old result) bool { return old.Name == r.Name })
		if at < 0 {
			results = append(results, r)
		} else {
			results[at] = r
		}
	}
	return results, nil
}
