package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"berth.dev/berth/bench/load"
)

// The times of one measurement in seconds.
const (
	closedSeconds = 4
	openSeconds   = 6
)

// openWorkers are the connections of an open loop: more than are ever busy
// while answers come in time.
const openWorkers = 64

// latencyLimit is the longest that the 99th percentile may be, in seconds.
const latencyLimit = 0.05

// workload is a kind of request that the front end has to answer so often.
type workload struct {
	name string
	// unit is what comes so often, target how often at least.
	unit   string
	target float64
	// workers is the number of connections of the closed loop.
	workers int
	plan    load.Plan
}

// workloads are those that the front end is measured by.
func (c *customer) workloads(pages []string) []workload {
	base := load.Plan{URL: c.who.ARMEndpoint, CAFile: c.who.CAFile, Authorization: c.token}
	get, list, patch, token := base, base, base, base
	for n := range clusterCount {
		path := clusterPath(c.who.SubscriptionID, n) + version
		get.Requests = append(get.Requests, load.Request{Method: http.MethodGet, Path: path})
		patch.Requests = append(patch.Requests, load.Request{
			Method: http.MethodPatch, Path: path, Body: `{"tags":{"n":"{n}"}}`, ContentType: "application/json",
		})
	}
	for _, path := range pages {
		list.Requests = append(list.Requests, load.Request{Method: http.MethodGet, Path: path})
	}
	token.Authorization = ""
	token.Requests = []load.Request{{Method: http.MethodPost, Path: c.tokenPath(), Body: c.tokenForm(), ContentType: formType}}
	return []workload{
		{name: "GET of one cluster of 1,000", unit: "1/s", target: 2000, workers: 16, plan: get},
		{name: "list of 1,000 clusters in pages of 50", unit: "pages/s", target: 40, workers: 4, plan: list},
		{name: "PATCH of tags over 1,000 clusters", unit: "1/s", target: 100, workers: 16, plan: patch},
		{name: "tokens for client secrets", unit: "1/s", target: 300, workers: 8, plan: token},
	}
}

// measureFrontEnd starts a front end with 1,000 clusters and measures what it
// answers, and how long it takes at half of what it has to.
func measureFrontEnd(ctx context.Context, dir string, o options) (measured []samples, err error) {
	fmt.Fprintln(os.Stderr, "starting a front end with a management API")
	s, stop, err := startService(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	c, err := newCustomer(ctx, s.home)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "making %d clusters\n", clusterCount)
	if err := c.populate(ctx, s.home); err != nil {
		return nil, fmt.Errorf("making clusters: %w", err)
	}
	pages, err := c.pages(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the clusters: %w", err)
	}
	for _, w := range c.workloads(pages) {
		rate := samples{name: "front end: " + w.name, unit: w.unit, higher: true, limit: w.target}
		late := samples{name: fmt.Sprintf("front end: %s, 99th percentile at %g/s", w.name, w.target/2), limit: latencyLimit}
		for run := range o.runs {
			closed, err := s.closed(ctx, w, o.profile)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
			rate.values, rate.cpu = append(rate.values, closed.Rate), append(rate.cpu, closed.CPUSeconds/closed.Seconds)
			open, err := s.open(ctx, w)
			if err != nil {
				return nil, fmt.Errorf("%s at %g/s: %w", w.name, w.target/2, err)
			}
			late.values, late.cpu = append(late.values, open.P99), append(late.cpu, open.CPUSeconds/open.Seconds)
			fmt.Fprintf(os.Stderr, "%s, run %d of %d: %.0f %s (p99 %.1f ms); at %g/s p50 %.1f ms, p99 %.1f ms\n",
				w.name, run+1, o.runs, closed.Rate, w.unit, closed.P99*1000, w.target/2, open.P50*1000, open.P99*1000)
		}
		measured = append(measured, rate, late)
	}
	return measured, nil
}

// closed is how much the front end answers. It says what CPU time that costs.
func (s *service) closed(ctx context.Context, w workload, profile string) (load.Result, error) {
	plan := w.plan
	plan.Workers, plan.Seconds = w.workers, closedSeconds
	group, groupCtx := errgroup.WithContext(ctx)
	if profile != "" {
		group.Go(func() error {
			return s.profile(groupCtx, int(math.Ceil(closedSeconds)), filepath.Join(profile, fmt.Sprintf("%.3s-%d.pprof", w.name, len(w.plan.Requests))))
		})
	}
	before, err := s.cpu()
	if err != nil {
		return load.Result{}, err
	}
	result, err := s.generate(ctx, plan)
	if err != nil {
		return result, errors.Join(err, group.Wait())
	}
	after, err := s.cpu()
	if err != nil {
		return result, err
	}
	answered := result.Rate * plan.Seconds * 1.25 // those that warmed up too
	fmt.Fprintf(os.Stderr, "%s: %.2f ms of the front end's CPU time each\n", w.name, (after-before)/answered*1000)
	return result, group.Wait()
}

// open is how long answers take at half of the rate that is asked for.
func (s *service) open(ctx context.Context, w workload) (load.Result, error) {
	plan := w.plan
	plan.Workers, plan.Seconds, plan.Rate = openWorkers, openSeconds, w.target/2
	return s.generate(ctx, plan)
}

func (s *service) generate(ctx context.Context, plan load.Plan) (load.Result, error) {
	self, err := os.Executable()
	if err != nil {
		return load.Result{}, err
	}
	return load.Spawn(ctx, plan, self, generatorProcess)
}
