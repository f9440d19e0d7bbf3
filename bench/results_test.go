package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestQuantilesAreOfTheNearestRank(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3, 7, 6}
	for q, want := range map[float64]float64{0.5: 4, 0.95: 7, 1: 7} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile(%v) = %v, want %v", q, got, want)
		}
	}
}

func TestATargetWithABaselineIsARatio(t *testing.T) {
	r := samples{values: []float64{3, 3, 3}, baseline: []float64{2, 2, 2}, limit: 1.5}.result()
	if !r.Met || r.Ratio != 1.5 {
		t.Errorf("result = %+v, want a ratio of 1.5 that meets the target", r)
	}
	if r := (samples{values: []float64{3.1}, baseline: []float64{2}, limit: 1.5}).result(); r.Met {
		t.Errorf("result = %+v, want the target missed", r)
	}
}

func TestAMeasurementWithoutRunsMissesItsTarget(t *testing.T) {
	if r := (samples{limit: 1}).result(); r.Met {
		t.Errorf("result = %+v, want the target missed", r)
	}
}

func TestWhereHigherIsBetterTheTargetIsTheLeast(t *testing.T) {
	if r := (samples{values: []float64{90, 100, 110}, unit: "1/s", higher: true, limit: 100}).result(); !r.Met || r.P95 != 90 || r.Unit != "1/s" {
		t.Errorf("result = %+v, want the target met and the worst run as the 95th percentile", r)
	}
	if r := (samples{values: []float64{99}, higher: true, limit: 100}).result(); r.Met {
		t.Errorf("result = %+v, want the target missed", r)
	}
}

func TestWhatWasNotMeasuredStaysInTheResults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	measure := func(name string, value float64) {
		if err := report(io.Discard, path, []samples{{name: name, values: []float64{value}, limit: 10}}); err != nil {
			t.Fatal(err)
		}
	}
	measure("one", 1)
	measure("two", 2)
	measure("one", 3)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var results []result
	if err := json.Unmarshal(content, &results); err != nil || len(results) != 2 || results[0].P50 != 3 || results[1].P50 != 2 {
		t.Errorf("the results are %s", content)
	}
}
