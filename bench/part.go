package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// part is what is measured together and can be measured alone.
type part struct {
	name    string
	measure func(ctx context.Context, scratch string, o options) ([]samples, error)
}

// parts are all parts, in the order in which they are measured.
func parts() []part {
	return []part{
		{"life", func(ctx context.Context, scratch string, o options) ([]samples, error) {
			return measureLife(ctx, scratch, o.runs)
		}},
		{"frontend", func(ctx context.Context, scratch string, o options) ([]samples, error) {
			return measureFrontEnd(ctx, filepath.Join(scratch, "front-end"), o)
		}},
		{"power", func(ctx context.Context, scratch string, o options) ([]samples, error) {
			return measurePower(ctx, scratch, o.runs)
		}},
		{"scale", func(ctx context.Context, scratch string, o options) ([]samples, error) {
			return measureScale(ctx, scratch, o.runs)
		}},
		{"upgrade", func(ctx context.Context, scratch string, o options) ([]samples, error) {
			return measureUpgrade(ctx, scratch, o.runs)
		}},
		{"rotate", func(ctx context.Context, scratch string, o options) ([]samples, error) {
			return measureRotate(ctx, scratch, o.runs)
		}},
		{"density", func(ctx context.Context, scratch string, o options) ([]samples, error) {
			return measureDensity(ctx, scratch, o.runs)
		}},
		{"prestarted", func(ctx context.Context, scratch string, o options) ([]samples, error) {
			return measurePrestarted(ctx, scratch, o.runs)
		}},
		{"many", func(ctx context.Context, scratch string, o options) ([]samples, error) {
			return measureMany(ctx, scratch, o.clusters)
		}},
		{"balancer", func(ctx context.Context, scratch string, o options) ([]samples, error) {
			return measureBalancer(ctx, scratch, o.runs)
		}},
		{"restore", func(ctx context.Context, scratch string, o options) ([]samples, error) {
			return measureRestore(ctx, scratch, o.runs)
		}},
		{"network", func(ctx context.Context, scratch string, _ options) ([]samples, error) {
			return measureNetwork(ctx, scratch)
		}},
	}
}

// partNames are the names of all parts, as the usage has them.
func partNames() string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return strings.Join(names, "|")
}

// measure measures all parts, or the one that the options name.
func measure(ctx context.Context, scratch string, o options) ([]samples, error) {
	var all []samples
	for _, p := range parts() {
		if o.only != "" && o.only != p.name {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring %s\n", p.name)
		measured, err := p.measure(ctx, scratch, o)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", p.name, err)
		}
		all = append(all, measured...)
	}
	return all, nil
}

// onInstall tells a story on a fresh install with a cluster, and removes it.
func onInstall(ctx context.Context, scratch string, create []string, tell func(t teller) error) error {
	return onEmptyInstall(ctx, scratch, func(t teller) error {
		if _, err := t.berth(ctx, append([]string{"aks", "create", "-g", "bench", "-n", "bench"}, create...)...); err != nil {
			return err
		}
		return tell(t)
	})
}

// onEmptyInstall tells a story on a fresh install with a resource group, which
// accepts clusters without agent pools, and removes it.
func onEmptyInstall(ctx context.Context, scratch string, tell func(t teller) error, up ...string) (err error) {
	home, err := os.MkdirTemp(scratch, "home-")
	if err != nil {
		return err
	}
	if err := os.Chmod(home, 0o711); err != nil { // nodes and control planes run under ids of their own
		return err
	}
	t := teller{home: home, kubeconfig: home + ".kubeconfig"}
	defer func() {
		if _, downErr := t.berth(context.WithoutCancel(ctx), "down", "--purge"); downErr != nil && err == nil {
			err = downErr
		}
	}()
	for _, command := range [][]string{
		append([]string{"up", "--detach", "--allow-no-agent-pools"}, up...), {"group", "create", "-n", "bench"},
	} {
		if _, err := t.berth(ctx, command...); err != nil {
			return err
		}
	}
	return tell(t)
}
