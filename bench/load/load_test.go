package load_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth.dev/berth/bench/load"
)

// planFor is a short plan against a server of a handler.
func planFor(t *testing.T, handler http.HandlerFunc) load.Plan {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.crt")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return load.Plan{URL: server.URL, CAFile: file, Workers: 2, Seconds: 0.4, Requests: []load.Request{{Method: "GET", Path: "/"}}}
}

func TestAnOpenLoopCountsTheTimeThatARequestWaitedForAWorker(t *testing.T) {
	plan := planFor(t, func(http.ResponseWriter, *http.Request) { time.Sleep(20 * time.Millisecond) })
	plan.Rate = 200 // twice of what two workers can have answered
	result, err := load.Run(t.Context(), plan)
	if err != nil || result.Failed != 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	if result.Completed != 80 {
		t.Errorf("%d requests were sent in 0.4 s at 200/s, want 80", result.Completed)
	}
	if result.P99 < 0.2 {
		t.Errorf("the 99th percentile is %.3f s; the last requests waited for 0.4 s", result.P99)
	}
}

func TestAClosedLoopSendsAsFastAsItIsAnswered(t *testing.T) {
	plan := planFor(t, func(http.ResponseWriter, *http.Request) { time.Sleep(20 * time.Millisecond) })
	result, err := load.Run(t.Context(), plan)
	if err != nil || result.Failed != 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	if result.Rate > 101 || result.Completed < 4 || result.P50 < 0.02 || result.CPUSeconds <= 0 {
		t.Errorf("got %+v", result)
	}
}

func TestAnswersOtherThan200AreFailures(t *testing.T) {
	plan := planFor(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTeapot) })
	result, err := load.Run(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if result.Completed != 0 || result.Failed == 0 || !strings.Contains(result.FirstFailure, "418") {
		t.Errorf("got %+v", result)
	}
}
