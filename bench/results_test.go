package main

import "testing"

func TestQuantilesAreOfTheNearestRank(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3, 7, 6}
	for q, want := range map[float64]float64{0.5: 4, 0.95: 7, 1: 7} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile(%v) = %v, want %v", q, got, want)
		}
	}
}

func TestATargetWithABaselineIsARatio(t *testing.T) {
	r := samples{seconds: []float64{3, 3, 3}, baseline: []float64{2, 2, 2}, limit: 1.5}.result()
	if !r.Met || r.Ratio != 1.5 {
		t.Errorf("result = %+v, want a ratio of 1.5 that meets the target", r)
	}
	if r := (samples{seconds: []float64{3.1}, baseline: []float64{2}, limit: 1.5}).result(); r.Met {
		t.Errorf("result = %+v, want the target missed", r)
	}
}

func TestAMeasurementWithoutRunsMissesItsTarget(t *testing.T) {
	if r := (samples{limit: 1}).result(); r.Met {
		t.Errorf("result = %+v, want the target missed", r)
	}
}
