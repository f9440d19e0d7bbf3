//go:build e2e

package e2e

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// informer is an informer of client-go on the ConfigMaps of the namespace
// default; words is what it shows: the data's word by name.
func informer(ctx context.Context, t *testing.T, c *cluster) (words func() map[string]string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace("default"))
	lister := factory.Core().V1().ConfigMaps().Lister()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return func() map[string]string {
		all, err := lister.List(labels.Everything())
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, one := range all {
			if one.Name != "kube-root-ca.crt" {
				found[one.Name] = one.Data["word"]
			}
		}
		return found
	}
}

// patience is for an informer of client-go, which waits twice as long, and as much
// again by chance, whenever it was refused: while a restore takes its server away, and
// once more as what it watched from is gone.
const patience = 75 * time.Second

// converges asserts that an informer comes to show what it is to.
func converges(t *testing.T, words func() map[string]string, want map[string]string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !maps.Equal(words(), want) {
		if time.Now().After(deadline) {
			t.Fatalf("the informer still shows %v, want %v", words(), want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// delays are after which time of an operation the daemon is killed.
func delays(few ...time.Duration) []time.Duration {
	if !soak() {
		return few
	}
	var many []time.Duration
	for d := 100 * time.Millisecond; d < 8*time.Second; d += 300 * time.Millisecond {
		many = append(many, d)
	}
	return many
}

// TestABackupIsTakenAndRestoredThroughKills takes a backup and restores it in
// place, with the daemon, which is the host's agent, killed on the way. An informer
// that runs across each restore converges. At last the backup becomes a new cluster.
func TestABackupIsTakenAndRestoredThroughKills(t *testing.T) {
	c := newCluster(t, "backup", "--node-count", "1", "-s", "Standard_B2s")
	c.must(t, "create", "configmap", "changed", "--from-literal=word=before")
	c.must(t, "create", "configmap", "deleted", "--from-literal=word=before")
	c.must(t, "create", "secret", "generic", "secret", "--from-literal=word=hidden")
	before := map[string]string{"changed": "before", "deleted": "before"}
	for _, delay := range delays(400 * time.Millisecond) {
		must(t, "aks", "backup", "create", "-g", c.group, "--cluster-name", c.name, "-n", "killed", "--no-wait")
		time.Sleep(delay) // where the kill falls is chance on purpose
		killDaemon(t)
		must(t, "up", "--detach")
		must(t, "aks", "backup", "create", "-g", c.group, "--cluster-name", c.name, "-n", "killed") // the same once more: it waits
		must(t, "aks", "backup", "delete", "-g", c.group, "-n", "killed", "--yes")
	}
	must(t, "aks", "backup", "create", "-g", c.group, "--cluster-name", c.name, "-n", "b1")
	restore := []string{"aks", "backup", "restore", "-g", c.group, "-n", "b1"}
	for _, delay := range append([]time.Duration{0}, delays(1500*time.Millisecond)...) {
		// One for each restore: how long it waits grows with every time that its server was away.
		ctx, cancel := context.WithCancel(t.Context())
		words := informer(ctx, t, c)
		c.must(t, "patch", "configmap", "changed", "-p", `{"data":{"word":"after"}}`)
		c.must(t, "delete", "configmap", "deleted")
		c.must(t, "delete", "secret", "secret")
		c.must(t, "create", "configmap", "later", "--from-literal=word=after")
		converges(t, words, map[string]string{"changed": "after", "later": "after"})
		if delay == 0 { // nobody is killed
			if said := refused(t, append(restore, "--yes")...); !strings.Contains(said, "after revision") {
				t.Errorf("a restore without --accept-loss is refused with %q", said)
			}
			must(t, append(restore, "--accept-loss", "--yes")...)
		} else {
			must(t, append(restore, "--accept-loss", "--yes", "--no-wait")...)
			time.Sleep(delay)
			killDaemon(t)
			must(t, "up", "--detach")
			must(t, "aks", "wait", "-g", c.group, "-n", c.name, "--updated", "--interval", "1")
		}
		converges(t, words, before)
		if word := c.must(t, "get", "secret", "secret", "-o", "go-template={{.data.word | base64decode}}"); word != "hidden" {
			t.Errorf("the Secret is %q after the restore", word)
		}
		cancel()
	}
	c.settledNodes(t, 1)
	c.fillsUp(t)
	if soak() {
		c.scheduled(t)
	}
	c.must(t, "create", "configmap", "again", "--from-literal=word=written")
	converges(t, informer(t.Context(), t, c), map[string]string{"changed": "before", "deleted": "before", "again": "written"})

	must(t, append(restore, "--new-cluster-name", "copy")...)
	fresh := &cluster{group: c.group, name: "copy", kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	must(t, "aks", "get-credentials", "--admin", "-g", fresh.group, "-n", fresh.name, "-f", fresh.kubeconfig)
	if word := fresh.must(t, "get", "secret", "secret", "-o", "go-template={{.data.word | base64decode}}"); word != "hidden" {
		t.Errorf("the Secret is %q in the new cluster", word)
	}
	converges(t, informer(t.Context(), t, fresh), before)
	fresh.settledNodes(t, 1)
}

// fillsUp gives the backups a disk of their own that fills: a backup ends Failed,
// and the same asked for again is there once the disk has room.
func (c *cluster) fillsUp(t *testing.T) {
	t.Helper()
	dir := filepath.Join(service.home, "backups")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16k"); err != nil {
		t.Fatal(err)
	}
	mounted := true
	unmount := func() {
		if mounted {
			mounted = false
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(unmount)
	create := []string{"aks", "backup", "create", "-g", c.group, "--cluster-name", c.name, "-n", "full"}
	if said := refused(t, create...); !strings.Contains(said, "InsufficientStorage") {
		t.Errorf("a backup on a full disk ends with %q", said)
	}
	if state := must(t, "aks", "backup", "show", "-g", c.group, "-n", "full", "--query", "provisioningState", "-o", "tsv"); strings.TrimSpace(state) != "Failed" {
		t.Errorf("the backup is %s", state)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left on the full disk: %v, %v", left, err)
	}
	unmount()
	must(t, create...)
	if verified := must(t, "aks", "backup", "show", "-g", c.group, "-n", "full", "--query", "verified", "-o", "tsv"); strings.TrimSpace(verified) != "true" {
		t.Errorf("the backup of the retry is verified: %s", verified)
	}
}

// scheduled lets a schedule of every minute run while the daemon dies, and
// expects one backup a minute and two in the end.
func (c *cluster) scheduled(t *testing.T) {
	t.Helper()
	must(t, "aks", "backup", "schedule", "add", "-g", c.group, "--cluster-name", c.name, "-n", "often", "--schedule", "* * * * *", "--keep-count", "2")
	seen := map[string]bool{}
	began := time.Now()
	for time.Since(began) < 5*time.Minute {
		time.Sleep(7 * time.Second)
		killDaemon(t)
		must(t, "up", "--detach")
		names := strings.Fields(must(t, "aks", "backup", "list", "-g", c.group, "--query", "[?schedule=='often'].name", "-o", "tsv"))
		if len(names) > 3 { // the oldest may be on its way out
			t.Fatalf("the schedule keeps %v", names)
		}
		for _, name := range names {
			seen[name] = true
		}
	}
	if len(seen) < 3 || len(seen) > 6 {
		t.Errorf("in five minutes there were %v", seen)
	}
	must(t, "aks", "backup", "schedule", "delete", "-g", c.group, "--cluster-name", c.name, "-n", "often", "--yes")
}
