//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// database is a StatefulSet with a claim of the default class. It runs as a user
// that the disk does not belong to.
const database = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {runAsUser: 1000, fsGroup: 2000}
      containers:
      - name: db
        image: berth.internal/test/client:v1
        command: [/bin/sh, -c, "echo started >> /data/log; sync; exec sleep 1000000"]
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: 1Gi}}
`

// sharedClaim is a claim that no disk can serve.
const sharedClaim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: shared}
spec:
  accessModes: [ReadWriteMany]
  storageClassName: immediate
  resources: {requests: {storage: 1Gi}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: immediate}
provisioner: disk.csi.azure.com
`

func TestAStatefulSetKeepsItsDisk(t *testing.T) {
	c := newCluster(t, "disks", "-c", "2", "-s", "Standard_B2s")
	if got := c.must(t, "get", "storageclass", "default", "-o", "jsonpath={.volumeBindingMode} {.allowVolumeExpansion} {.metadata.annotations.storageclass\\.kubernetes\\.io/is-default-class}"); got != "WaitForFirstConsumer true true" {
		t.Errorf("the default class is %q", got)
	}
	c.applyText(t, database)
	c.databaseRuns(t, 1)
	first := c.databaseNode(t)

	t.Run("it is held to its size", func(t *testing.T) {
		if said, err := c.kubectl("exec", "db-0", "--", "dd", "if=/dev/zero", "of=/data/full", "bs=1M", "count=1100"); err == nil || !strings.Contains(err.Error(), "No space left") {
			t.Errorf("1100 MiB were written to a disk of 1 GiB: %s, %v", said, err)
		}
	})
	t.Run("it grows while it is used", func(t *testing.T) {
		c.must(t, "patch", "pvc", "data-db-0", "-p", `{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}`)
		// A kubelet looks at the sizes of a pod's disks when it syncs the pod: now, and not up to a minute later.
		c.eventually(t, 30*time.Second, func(said string) bool { return strings.Contains(said, "FileSystemResizePending") },
			"get", "pvc", "data-db-0", "-o", "jsonpath={.status.conditions[*].type}")
		c.must(t, "annotate", "pod", "db-0", "example.com/synced=now")
		c.eventually(t, time.Minute, func(kib string) bool { return atLeast(kib, 1_900_000) }, "exec", "db-0", "--", "sh", "-c", "df -k /data | tail -1 | awk '{print $2}'")
		c.must(t, "exec", "db-0", "--", "dd", "if=/dev/zero", "of=/data/full", "bs=1M", "count=1100")
		c.must(t, "exec", "db-0", "--", "rm", "/data/full")
		c.eventually(t, 3*time.Minute, func(size string) bool { return size == "2Gi" }, "get", "pvc", "data-db-0", "-o", "jsonpath={.status.capacity.storage}")
	})
	t.Run("it survives its pod", func(t *testing.T) {
		c.must(t, "delete", "pod", "db-0")
		c.databaseRuns(t, 2)
	})
	t.Run("it survives the restart of its node", func(t *testing.T) {
		c.restartNodes(t)
		c.databaseRuns(t, 3)
	})
	t.Run("it goes with the pod to another node", func(t *testing.T) {
		c.must(t, "cordon", c.databaseNode(t))
		defer c.must(t, "uncordon", first)
		before := c.databaseNode(t)
		c.must(t, "delete", "pod", "db-0")
		c.databaseRuns(t, 4)
		if now := c.databaseNode(t); now == before {
			t.Errorf("the pod is on %s as before", now)
		}
	})
	t.Run("it survives the death of the service", func(t *testing.T) {
		killDaemon(t)
		c.must(t, "exec", "db-0", "--", "sh", "-c", "echo alone >> /data/alone && sync")
		must(t, "up", "--detach")
		if got := c.must(t, "exec", "db-0", "--", "cat", "/data/alone"); got != "alone" {
			t.Errorf("the file holds %q", got)
		}
	})
	t.Run("a claim that no disk can serve is told why", func(t *testing.T) {
		c.applyText(t, sharedClaim)
		c.eventually(t, 30*time.Second, func(said string) bool { return strings.Contains(said, "ReadWriteMany is not built") },
			"get", "events", "--field-selector", "involvedObject.name=shared", "-o", "jsonpath={.items[*].message}")
	})
	t.Run("it goes with its claim", func(t *testing.T) {
		c.must(t, "delete", "statefulset", "db")
		c.must(t, "delete", "pvc", "data-db-0")
		c.eventually(t, time.Minute, func(names string) bool { return names == "" }, "get", "pv", "-o", "name")
		if left, err := os.ReadDir(service.home + "/disks"); err != nil || len(left) != 0 {
			t.Errorf("left in the home: %v, %v", left, err)
		}
	})
}

// databaseRuns waits until the database has started so many times on one disk.
func (c *cluster) databaseRuns(t *testing.T, times int) {
	t.Helper()
	want := strings.TrimSpace(strings.Repeat("started\n", times))
	began := time.Now()
	c.eventually(t, 3*time.Minute, func(log string) bool { return log == want }, "exec", "db-0", "--", "cat", "/data/log")
	t.Logf("it runs on its disk after %v", time.Since(began).Round(100*time.Millisecond))
}

func (c *cluster) databaseNode(t *testing.T) string {
	t.Helper()
	return c.must(t, "get", "pod", "db-0", "-o", "jsonpath={.spec.nodeName}")
}

// restartNodes kills every machine's first process, as a crash of all nodes would.
func (c *cluster) restartNodes(t *testing.T) {
	t.Helper()
	killed := 0
	for _, p := range processes(t) {
		if p.place() == "machine" && p.boots() {
			if err := p.kill(); err != nil {
				t.Fatal(err)
			}
			killed++
		}
	}
	if killed == 0 {
		t.Fatal("no machine was found")
	}
}

// atLeast says whether a printed number is that large.
func atLeast(printed string, want int) bool {
	var number int
	_, err := fmt.Sscan(printed, &number)
	return err == nil && number >= want
}
