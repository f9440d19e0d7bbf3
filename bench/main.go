// Command bench measures Berth against the raw components that it is made of,
// alternating in one run, and writes bench/results.json. It exits with 1 when a
// target is missed. It needs root, an otherwise idle machine and built releases.
//
// usage: make bench, or go run ./bench [-n RUNS]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	runs := flag.Int("n", 7, "how often each measurement is repeated")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measure alternates raw and Berth, so that a machine that becomes slower does
// so for both.
func measure(ctx context.Context, runs int) error {
	scratch, err := os.MkdirTemp("", "berth-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := os.Chmod(scratch, 0o711); err != nil { // nodes and control planes run under ids of their own
		return err
	}
	raw := raw{dir: filepath.Join(scratch, "raw")}
	if raw.artifacts, err = artifacts(); err != nil {
		return err
	}
	start := samples{name: "service start to the first ARM answer", limit: 2}
	ready := samples{name: "cluster create to /readyz of its API server", limit: 1.5}
	node := samples{name: "node start to Ready", limit: 2}
	page := samples{name: "create with one node to the first page through its public address", limit: 12}
	gone := samples{name: "cluster delete to nothing left", limit: 5}

	for run := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", run+1, runs)
		controlPlane, err := raw.controlPlane(ctx)
		if err != nil {
			return fmt.Errorf("starting a raw control plane: %w", err)
		}
		start.baseline = append(start.baseline, controlPlane.seconds)
		ready.baseline = append(ready.baseline, controlPlane.seconds)
		rawNode, err := raw.node(ctx)
		if err != nil {
			return fmt.Errorf("starting a raw node: %w", err)
		}
		node.baseline = append(node.baseline, rawNode.seconds)

		story, err := tell(ctx, filepath.Join(scratch, fmt.Sprintf("home-%d", run)))
		if err != nil {
			return err
		}
		start.seconds = append(start.seconds, story.start)
		ready.seconds = append(ready.seconds, story.ready)
		start.cpu, ready.cpu = append(start.cpu, story.startCPU), append(ready.cpu, story.readyCPU)
		node.seconds = append(node.seconds, story.node)
		page.seconds = append(page.seconds, story.page)
		gone.seconds = append(gone.seconds, story.gone)
	}
	return report(os.Stdout, "bench/results.json", []samples{start, ready, node, page, gone})
}
