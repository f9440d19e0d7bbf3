package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
)

// measureRotate replaces the authorities of a cluster with two nodes.
func measureRotate(ctx context.Context, scratch string, runs int) ([]samples, error) {
	rotate := samples{name: "rotation of the authorities of a cluster with two nodes", limit: 60}
	for run := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", run+1, runs)
		err := onInstall(ctx, scratch, []string{"-c", "2", "-s", "Standard_B2s"}, func(t teller) error {
			before, err := t.authority(ctx)
			if err != nil {
				return err
			}
			seconds, err := t.timed(ctx, "aks", "rotate-certs", "-g", "bench", "-n", "bench", "--yes")
			if err != nil {
				return err
			}
			after, err := t.authority(ctx)
			if err != nil {
				return err
			}
			if bytes.Equal(before, after) {
				return errors.New("the kubeconfig has the same authority after the rotation")
			}
			rotate.values = append(rotate.values, seconds)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return []samples{rotate}, nil
}

// authority fetches the administrator's kubeconfig, sees that the API server
// answers to it, and returns the authorities that it trusts.
func (t teller) authority(ctx context.Context) ([]byte, error) {
	if _, err := t.ready(ctx); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", t.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return config.CAData, nil
}
