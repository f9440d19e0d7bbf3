package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// A backup of 100 MB is one of so many objects of so many bytes.
const (
	restoreObjects = 200
	restoreBytes   = 512 << 10
)

// measureRestore restores a cluster with 100 MB in its etcd in place.
func measureRestore(ctx context.Context, scratch string, runs int) ([]samples, error) {
	restore := samples{name: "restore of 100 MB in place", limit: 20}
	for run := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", run+1, runs)
		err := onInstall(ctx, scratch, []string{"-c", "1", "-s", "Standard_B2s"}, func(t teller) error {
			client, err := t.ready(ctx)
			if err != nil {
				return err
			}
			if err := fill(ctx, client); err != nil {
				return err
			}
			if _, err := t.berth(ctx, "aks", "backup", "create", "-g", "bench", "--cluster-name", "bench", "-n", "full"); err != nil {
				return err
			}
			if err := client.CoreV1().ConfigMaps("default").Delete(ctx, object(0), metav1.DeleteOptions{}); err != nil {
				return err
			}
			seconds, err := t.timed(ctx, "aks", "backup", "restore", "-g", "bench", "-n", "full", "--accept-loss", "--yes")
			if err != nil {
				return err
			}
			if _, err := client.CoreV1().ConfigMaps("default").Get(ctx, object(0), metav1.GetOptions{}); err != nil {
				return fmt.Errorf("what was deleted after the backup did not come back: %w", err)
			}
			restore.values = append(restore.values, seconds)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return []samples{restore}, nil
}

func object(n int) string { return fmt.Sprintf("filling-%d", n) }

// fill writes what no one can compress.
func fill(ctx context.Context, client *kubernetes.Clientset) error {
	for n := range restoreObjects {
		content := make([]byte, restoreBytes)
		if _, err := rand.Read(content); err != nil {
			return err
		}
		if _, err := client.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: object(n)}, BinaryData: map[string][]byte{"filling": content},
		}, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("filling the cluster: %w", err)
		}
	}
	return nil
}
