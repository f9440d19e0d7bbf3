package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// warm is for how long a control plane that is ready has waited: its controllers
// start only then, and compute for a while.
const warm = 15 * time.Second

// measurePrestarted measures how soon a cluster answers whose control plane ran
// before it was asked for. Each run waits until the next one is ready.
func measurePrestarted(ctx context.Context, scratch string, runs int) ([]samples, error) {
	ready := samples{name: "cluster create to /readyz, with a pre-started control plane", limit: 1}
	err := onEmptyInstall(ctx, scratch, func(t teller) error {
		for run := range runs {
			fmt.Fprintf(os.Stderr, "run %d of %d\n", run+1, runs)
			if err := t.oneWaits(ctx); err != nil {
				return err
			}
			if err := wait(ctx, warm); err != nil {
				return err
			}
			begun := time.Now()
			if _, err := t.berth(ctx, "aks", "create", "-g", "bench", "-n", "bench", "-c", "1", "-s", "Standard_B2s", "--no-wait"); err != nil {
				return err
			}
			if _, err := t.ready(ctx); err != nil {
				return err
			}
			ready.values = append(ready.values, time.Since(begun).Seconds())
			if _, err := t.berth(ctx, "aks", "wait", "-g", "bench", "-n", "bench", "--created"); err != nil {
				return err
			}
			if _, err := t.berth(ctx, "aks", "delete", "-g", "bench", "-n", "bench", "--yes"); err != nil {
				return err
			}
		}
		return nil
	}, "--prestarted", "1")
	return []samples{ready}, err
}

// oneWaits waits until the metrics tell of a control plane that is ready and has
// no cluster.
func (t teller) oneWaits(ctx context.Context) error {
	daemon, err := t.daemon()
	if err != nil {
		return err
	}
	asking := http.Client{Timeout: time.Second}
	return until(ctx, func() error {
		response, err := asking.Get(daemon.MetricsEndpoint + "/metrics")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		page, err := io.ReadAll(response.Body)
		if err == nil && !bytes.Contains(page, []byte("\nberth_prestarted_control_planes{state=\"ready\"} 1\n")) {
			err = errors.New("no pre-started control plane is ready")
		}
		return err
	})
}
