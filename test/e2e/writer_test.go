//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// writer writes ConfigMaps through a tenant's API for as long as it runs, and
// remembers what was acknowledged.
type writer struct {
	client kubernetes.Interface
	cancel context.CancelFunc
	done   sync.WaitGroup
	// ballast comes with every write.
	ballast          string
	written, refused atomic.Int64

	// Until done these belong to run.
	acknowledged map[string]string
	wrong        []string
	// longest is the longest time without an acknowledged write.
	longest time.Duration
}

// writeNamespace holds what a writer writes.
const (
	writeNamespace = "default"
	writePause     = 20 * time.Millisecond
	writeTimeout   = 2 * time.Second
)

func startWriter(t *testing.T, c *cluster) *writer {
	t.Helper()
	return startWriterOf(t, c, "")
}

// startLargeWriter starts a writer that soon fills what it writes to.
func startLargeWriter(t *testing.T, c *cluster) *writer {
	t.Helper()
	return startWriterOf(t, c, strings.Repeat("ballast ", 25_000))
}

func startWriterOf(t *testing.T, c *cluster, ballast string) *writer {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.Timeout, config.QPS = writeTimeout, -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &writer{client: client, cancel: cancel, ballast: ballast, acknowledged: map[string]string{}}
	w.done.Go(func() { w.run(ctx) })
	t.Cleanup(func() { cancel(); w.done.Wait() })
	return w
}

func (w *writer) run(ctx context.Context) {
	last := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("write-%d", n)
		switch err := w.write(ctx, name, fmt.Sprint(n)); {
		case ctx.Err() != nil && err != nil: // cut off by the end of the writing
		case err != nil:
			w.refused.Add(1)
		default:
			w.acknowledged[name] = fmt.Sprint(n)
			w.written.Add(1)
			w.readBack(ctx, name)
			w.longest = max(w.longest, time.Since(last))
			last = time.Now()
		}
		select {
		case <-ctx.Done():
		case <-time.After(writePause):
		}
	}
}

func (w *writer) write(ctx context.Context, name, value string) error {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"value": value, "ballast": w.ballast}}
	_, err := w.client.CoreV1().ConfigMaps(writeNamespace).Create(ctx, object, metav1.CreateOptions{})
	return err
}

// readBack reads what was just acknowledged. No answer is no loss; another
// answer is.
func (w *writer) readBack(ctx context.Context, name string) {
	read, err := w.client.CoreV1().ConfigMaps(writeNamespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		w.wrong = append(w.wrong, name+" was not found right after it was acknowledged")
	case err == nil && read.Data["value"] != w.acknowledged[name]:
		w.wrong = append(w.wrong, fmt.Sprintf("%s holds %q right after %q was acknowledged", name, read.Data["value"], w.acknowledged[name]))
	}
}

// stored is what is there, read in pages: what is large takes longer than a call may.
func (w *writer) stored(t *testing.T) map[string]string {
	t.Helper()
	stored := map[string]string{}
	deadline := time.Now().Add(30 * time.Second)
	for page := (metav1.ListOptions{Limit: 500}); ; {
		if w.ballast != "" {
			page.Limit = 10
		}
		list, err := w.client.CoreV1().ConfigMaps(writeNamespace).List(t.Context(), page)
		if err != nil && time.Now().Before(deadline) { // what is asked here is what is there, not how soon it is told
			time.Sleep(writePause)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range list.Items {
			stored[object.Name] = object.Data["value"]
		}
		if page.Continue = list.Continue; page.Continue == "" {
			return stored
		}
	}
}

// stop ends the writing and reads every acknowledged write back.
func (w *writer) stop(t *testing.T) {
	t.Helper()
	w.cancel()
	w.done.Wait()
	stored := w.stored(t)
	lost := 0
	for name, value := range w.acknowledged {
		if stored[name] != value {
			lost++
			t.Errorf("lost: %s = %q was acknowledged and is %q", name, value, stored[name])
		}
	}
	for _, line := range w.wrong {
		t.Error(line)
	}
	if len(w.acknowledged) < 20 {
		t.Errorf("only %d writes were acknowledged: the test says nothing", len(w.acknowledged))
	}
	t.Logf("%d writes acknowledged, %d lost, %d refused, longest without one %v",
		len(w.acknowledged), lost, w.refused.Load(), w.longest.Round(time.Millisecond))
}
