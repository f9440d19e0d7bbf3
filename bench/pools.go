package main

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// measureScale scales a pool from one node to five.
func measureScale(ctx context.Context, scratch string, runs int) ([]samples, error) {
	scale := samples{name: "scale of a pool from 1 to 5 nodes", limit: 10}
	for run := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", run+1, runs)
		err := onInstall(ctx, scratch, []string{"-c", "1", "-s", "Standard_B2s"}, func(t teller) error {
			client, err := t.ready(ctx)
			if err != nil {
				return err
			}
			seconds, err := t.timed(ctx, "aks", "scale", "-g", "bench", "-n", "bench", "-c", "5")
			if err != nil {
				return err
			}
			if err := allReady(ctx, client, 5); err != nil {
				return err
			}
			scale.values = append(scale.values, seconds)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return []samples{scale}, nil
}

// allReady does not wait: the command that brought the nodes up said that they are.
func allReady(ctx context.Context, client *kubernetes.Clientset, want int) error {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if ready := readyNodes(nodes.Items); ready != want {
		return fmt.Errorf("%d nodes are ready after the operation, want %d: %v", ready, want, names(nodes.Items))
	}
	return nil
}

func names(nodes []corev1.Node) (names []string) {
	for _, node := range nodes {
		names = append(names, node.Name)
	}
	return names
}
