// Package load is a generator of HTTP requests over TLS connections that are
// kept, for a process of its own that has one core. It measures in two ways: a
// closed loop, in which each worker sends as soon as it was answered, tells how
// many requests a second a service can answer; an open loop, in which requests
// come at a constant rate whatever the answers do, tells how long they take.
// There the time of a request begins when it was due, not when a worker was free.
package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Request is one of the requests that are sent in turn.
type Request struct {
	// Method and Path, with its query, say what is asked for.
	Method string `json:"method"`
	Path   string `json:"path"`
	// Body is sent with {n} replaced by the number of the request.
	Body string `json:"body,omitempty"`
	// ContentType is that of the body.
	ContentType string `json:"contentType,omitempty"`
}

// Plan says what to send.
type Plan struct {
	// URL is the service's base URL, CAFile the PEM file that verifies it.
	URL    string `json:"url"`
	CAFile string `json:"caFile"`
	// Authorization is the header of every request, empty for none.
	Authorization string `json:"authorization,omitempty"`
	// Requests are sent in turn; each has to be answered with 200.
	Requests []Request `json:"requests"`
	// Workers is the number of connections.
	Workers int `json:"workers"`
	// Seconds is how long requests are sent, after a quarter of that to warm up.
	Seconds float64 `json:"seconds"`
	// Rate is the constant number of requests a second; 0 means a closed loop.
	Rate float64 `json:"rate,omitempty"`
}

// Result is what came of a plan.
type Result struct {
	// Completed is the number of requests that were answered with 200, Failed
	// that of all others; FirstFailure says what was wrong with one of these.
	Completed    int    `json:"completed"`
	Failed       int    `json:"failed"`
	FirstFailure string `json:"firstFailure,omitempty"`
	// Rate is Completed per second.
	Rate float64 `json:"rate"`
	// P50 and P99 are quantiles of the times to the answer's end, in seconds.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	// CPUSeconds is the CPU time of this process meanwhile, Seconds how long it took.
	CPUSeconds float64 `json:"cpuSeconds"`
	Seconds    float64 `json:"seconds"`
}

// generator is a plan under way.
type generator struct {
	plan   Plan
	client *http.Client
	next   atomic.Int64
}

// Run carries a plan out.
func Run(ctx context.Context, plan Plan) (Result, error) {
	if len(plan.Requests) == 0 || plan.Workers < 1 || plan.Seconds <= 0 {
		return Result{}, errors.New("the plan has no requests, no workers or no time")
	}
	authority, err := os.ReadFile(plan.CAFile)
	if err != nil {
		return Result{}, fmt.Errorf("reading the service's authority: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{ // without HTTP/2: az and the SDKs for Python keep plain connections
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: plan.Workers, MaxConnsPerHost: plan.Workers, DisableCompression: true,
	}
	defer transport.CloseIdleConnections()
	g := &generator{plan: plan, client: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
	whole := time.Duration(plan.Seconds * float64(time.Second))
	g.run(ctx, whole/4) // connections are made, caches filled
	began, used := time.Now(), cpu()
	result := g.run(ctx, whole)
	result.Seconds, result.CPUSeconds = time.Since(began).Seconds(), cpu()-used
	result.Rate = float64(result.Completed) / result.Seconds
	return result, ctx.Err()
}

// tally is what one worker saw.
type tally struct {
	took   []time.Duration
	failed int
	first  error
}

// run sends requests for a time and waits for all answers.
func (g *generator) run(ctx context.Context, whole time.Duration) Result {
	due := g.schedule(ctx, whole)
	tallies := make([]tally, g.plan.Workers)
	var workers sync.WaitGroup
	for i := range tallies {
		workers.Go(func() {
			for begin := range due {
				if begin.IsZero() { // a closed loop
					begin = time.Now()
				}
				if err := g.send(ctx); err != nil {
					tallies[i].failed++
					tallies[i].first = err
					continue
				}
				tallies[i].took = append(tallies[i].took, time.Since(begin))
			}
		})
	}
	workers.Wait()
	return sum(tallies)
}

// schedule says when requests are due: the zero time is whenever a worker is
// free. The channel is closed when the time is over.
func (g *generator) schedule(ctx context.Context, whole time.Duration) <-chan time.Time {
	if g.plan.Rate == 0 {
		due := make(chan time.Time)
		go func() {
			defer close(due)
			for end := time.Now().Add(whole); time.Now().Before(end) && ctx.Err() == nil; {
				due <- time.Time{}
			}
		}()
		return due
	}
	total := int(g.plan.Rate * whole.Seconds())
	due := make(chan time.Time, total) // a service that is too slow delays no arrival
	go func() {
		defer close(due)
		begin := time.Now()
		for i := range total {
			at := begin.Add(time.Duration(float64(i) / g.plan.Rate * float64(time.Second)))
			time.Sleep(time.Until(at))
			if ctx.Err() != nil {
				return
			}
			due <- at
		}
	}()
	return due
}

// send sends the next request and reads the answer to its end.
func (g *generator) send(ctx context.Context) error {
	n := g.next.Add(1)
	request := g.plan.Requests[int(n)%len(g.plan.Requests)]
	body := strings.ReplaceAll(request.Body, "{n}", strconv.FormatInt(n, 10))
	r, err := http.NewRequestWithContext(ctx, request.Method, g.plan.URL+request.Path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	if g.plan.Authorization != "" {
		r.Header.Set("Authorization", g.plan.Authorization)
	}
	if request.ContentType != "" {
		r.Header.Set("Content-Type", request.ContentType)
	}
	response, err := g.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("%s %s: %s: %s", request.Method, request.Path, response.Status, text)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func sum(tallies []tally) Result {
	var result Result
	var took []time.Duration
	for _, t := range tallies {
		took = append(took, t.took...)
		result.Failed += t.failed
		if t.first != nil {
			result.FirstFailure = t.first.Error()
		}
	}
	slices.Sort(took)
	result.Completed, result.P50, result.P99 = len(took), quantile(took, 0.5), quantile(took, 0.99)
	return result
}

// quantile is the nearest-rank quantile of sorted times in seconds, 0 of none.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(math.Ceil(q*float64(len(sorted))))-1].Seconds()
}

// cpu is the CPU time of this process so far, in seconds.
func cpu() float64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
