// Command bench measures Berth: its life on a host against the raw components
// that it is made of, its front end under load, and what is done to clusters
// later. It writes bench/results.json and exits with 1 when a target is missed. It needs root, an
// otherwise idle machine and built releases.
//
// usage: make bench, or go run ./bench [-n RUNS] [-only PART] [-clusters COUNT] [-profile DIRECTORY]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"berth.dev/berth/bench/load"
)

// options say what is measured and how often.
type options struct {
	runs, clusters int
	only, profile  string
}

func main() {
	var o options
	flag.IntVar(&o.runs, "n", 7, "how often each measurement is repeated")
	flag.IntVar(&o.clusters, "clusters", 50, "how many idle clusters the part many keeps; each takes about 215 MB of memory, and 300 have to be free for it")
	flag.StringVar(&o.only, "only", "", "measure one part: "+partNames()+" (default all)")
	flag.StringVar(&o.profile, "profile", "", "directory for CPU profiles of the front end under each load")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is one of the processes of a measurement: those that are started for it
// are named by an argument.
func run(ctx context.Context, o options, arguments []string) error {
	switch {
	case len(arguments) == 1 && arguments[0] == generatorProcess:
		return load.Generate(ctx, os.Stdin, os.Stdout)
	case len(arguments) == 3 && arguments[0] == serviceProcess:
		return serveFrontEnd(ctx, arguments[1], arguments[2])
	case len(arguments) > 0:
		return fmt.Errorf("no such argument: %q", arguments)
	case o.only != "" && !slices.Contains(strings.Split(partNames(), "|"), o.only):
		return fmt.Errorf("-only %q: use one of %s", o.only, partNames())
	}
	scratch, err := os.MkdirTemp("", "berth-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := os.Chmod(scratch, 0o711); err != nil { // nodes and control planes run under ids of their own
		return err
	}
	all, err := measure(ctx, scratch, o)
	if err != nil {
		return err
	}
	return report(os.Stdout, "bench/results.json", all)
}

// measureLife alternates raw and Berth, so that a machine that becomes slower
// does so for both.
func measureLife(ctx context.Context, scratch string, runs int) ([]samples, error) {
	raw := raw{dir: filepath.Join(scratch, "raw")}
	var err error
	if raw.artifacts, err = artifacts(); err != nil {
		return nil, err
	}
	start := samples{name: "service start to the first ARM answer", limit: 2}
	ready := samples{name: "cluster create to /readyz of its API server", limit: 1.25}
	node := samples{name: "node start to Ready", limit: 2}
	page := samples{name: "create with one node to the first page through its public address", limit: 12}
	gone := samples{name: "cluster delete to nothing left", limit: 5}

	for run := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", run+1, runs)
		controlPlane, err := raw.controlPlane(ctx)
		if err != nil {
			return nil, fmt.Errorf("starting a raw control plane: %w", err)
		}
		start.baseline = append(start.baseline, controlPlane.seconds)
		ready.baseline = append(ready.baseline, controlPlane.seconds)
		rawNode, err := raw.node(ctx)
		if err != nil {
			return nil, fmt.Errorf("starting a raw node: %w", err)
		}
		node.baseline = append(node.baseline, rawNode.seconds)

		story, err := tell(ctx, filepath.Join(scratch, fmt.Sprintf("home-%d", run)))
		if err != nil {
			return nil, err
		}
		start.values = append(start.values, story.start)
		ready.values = append(ready.values, story.ready)
		start.cpu, ready.cpu = append(start.cpu, story.startCPU), append(ready.cpu, story.readyCPU)
		node.values = append(node.values, story.node)
		page.values = append(page.values, story.page)
		gone.values = append(gone.values, story.gone)
	}
	return []samples{start, ready, node, page, gone}, nil
}
