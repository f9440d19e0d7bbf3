// Command conformance runs upstream's [Conformance] specs, or those of
// sig-network, on a two-node Berth cluster and says how each ended. `make conformance` calls it; docs/conformance.md
// tells what it runs and what came out.
//
// It builds the tests and their images from source, starts a service of its own
// in a home of its own, and keeps the outcome of each spec under the key of the
// build: an interrupted run goes on with the specs that have none.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"berth.dev/berth/internal/release"
)

// options are the flags.
type options struct {
	version string
	dir     string
	workers int
	nodes   int
	suite   string
	focus   string
	again   bool
	keep    bool
	// serve is a directory of images to serve, instead of running specs.
	serve string
	// home is that of a service whose cluster, that of kubeconfig, is used instead of a new one.
	home, kubeconfig string
}

func main() {
	var chosen options
	flag.StringVar(&chosen.version, "version", "", "Kubernetes version to test: full, a minor, or nothing for the default")
	flag.StringVar(&chosen.dir, "dir", "test/out/conformance", "directory of outcomes, logs and the service's home")
	flag.IntVar(&chosen.workers, "workers", 4, "specs that run at once; Serial ones always run alone")
	flag.IntVar(&chosen.nodes, "nodes", 0, "nodes of the cluster (default what the suite asks for); some specs of sig-network want six")
	flag.StringVar(&chosen.suite, "suite", suiteConformance, "specs to run: conformance, network for those of sig-network that apply, or short for six of these")
	flag.StringVar(&chosen.focus, "focus", "", "regular expression of the specs to run (default all)")
	flag.StringVar(&chosen.home, "home", "", "home of a service that runs: its one cluster is used, and left as it is; with -kubeconfig and -nodes")
	flag.StringVar(&chosen.kubeconfig, "kubeconfig", "", "the administrator's kubeconfig of the cluster of -home")
	flag.BoolVar(&chosen.again, "again", false, "run the specs again that failed or skipped themselves before")
	flag.BoolVar(&chosen.keep, "keep", false, "leave the service and its cluster running")
	flag.StringVar(&chosen.serve, "serve", "", "serve the images of this layout until the input ends, and run nothing: what a run starts in the network of each node")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, chosen); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, chosen options) (err error) {
	if chosen.serve != "" {
		return serveImages(chosen.serve, mirrorAddress, os.Stdin, os.Stdout)
	}
	if err := checkSuite(chosen.suite); err != nil {
		return err
	}
	if (chosen.home == "") != (chosen.kubeconfig == "") {
		return errors.New("-home and -kubeconfig name a cluster together: give both or none")
	}
	version, ok := release.Resolve(chosen.version)
	if !ok {
		return fmt.Errorf("version %q is not in the catalog: see berth release list", chosen.version)
	}
	dir, err := filepath.Abs(chosen.dir)
	if err != nil {
		return err
	}
	store, err := release.Open(release.Options{InstallPackages: true})
	if err != nil {
		return err
	}
	suite, err := store.BuildSuite(ctx, version.Version, tellSteps())
	if err != nil {
		return err
	}
	key, err := buildKey(suite)
	if err != nil {
		return err
	}
	results, err := openOutcomes(filepath.Join(dir, key))
	if err != nil {
		return err
	}
	specs, err := listSpecs(ctx, suite.Tests, chosen.suite, chosen.focus)
	if err != nil {
		return err
	}
	left := results.left(specs, chosen.again)
	fmt.Fprintf(os.Stderr, "Kubernetes %s: %d specs, %d of them to run; outcomes in %s\n", version.Version, len(specs), len(left), results.dir)
	if len(left) > 0 {
		if err := runOnCluster(ctx, chosen, suite, results, left); err != nil {
			return err
		}
	}
	return report(results, specs, version.Version)
}

// buildKey is a digest of what runs: the tests, and Berth itself.
func buildKey(suite release.Suite) (string, error) {
	sum := sha256.New()
	for _, name := range []string{"berth", "berth-supervisor", "berth-prober"} {
		program, err := os.Open(filepath.Join("bin", name))
		if err != nil {
			return "", fmt.Errorf("reading what is tested (make build makes it): %w", err)
		}
		_, err = io.Copy(sum, program)
		program.Close()
		if err != nil {
			return "", fmt.Errorf("reading what is tested: %w", err)
		}
	}
	return fmt.Sprintf("%s-%x", suite.Key, sum.Sum(nil)[:4]), nil
}

// runOnCluster makes the cluster, runs the specs on it and removes it.
func runOnCluster(ctx context.Context, chosen options, suite release.Suite, results outcomes, left []spec) (err error) {
	cluster, err := newCluster(ctx, chosen, suite)
	if err != nil {
		return err
	}
	if chosen.home != "" {
		if _, err := cluster.loadImages(ctx); err != nil {
			return err
		}
		return runSpecs(ctx, runner{suite: suite, cluster: cluster, results: results, workers: chosen.workers}, left)
	}
	if !chosen.keep {
		defer func() { err = errors.Join(err, cluster.purge()) }()
	}
	nodes, err := cluster.make(ctx)
	if err != nil {
		return err
	}
	stop, err := cluster.mirror(ctx, nodes)
	if err != nil {
		return err
	}
	defer stop()
	return runSpecs(ctx, runner{suite: suite, cluster: cluster, results: results, workers: chosen.workers}, left)
}

// tellSteps prints each step of a build once.
func tellSteps() func(release.Progress) {
	last := ""
	return func(progress release.Progress) {
		if progress.Step != last {
			last = progress.Step
			fmt.Fprintf(os.Stderr, "building [%d/%d] %s\n", progress.StepIndex, progress.Steps, progress.Step)
		}
	}
}
