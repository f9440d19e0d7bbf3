//go:build e2e

package e2e

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is a service of two replicas in a cluster, and a Job in it that calls the
// service all the time. The Job itself remembers a request that failed: neither a
// log nor this process has to outlive the node where that happened.
type load struct {
	cluster *cluster
	done    chan struct{}
	counter sync.WaitGroup
	// calls are those that each caller has made, at least; count's until it has ended.
	calls map[string]int
}

// startLoad deploys both and waits until requests are answered.
func startLoad(t *testing.T, c *cluster) *load {
	t.Helper()
	c.must(t, "apply", "-f", "testdata/load.yaml")
	c.must(t, "rollout", "status", "deployment/served", "--timeout=90s")
	c.must(t, "patch", "job", "callers", "--type=merge", "-p", `{"spec":{"suspend":false}}`)
	c.eventually(t, 30*time.Second, notEmpty, "get", "pods", "-l", "app=callers", "-o", "name")
	c.must(t, "wait", "--for=condition=Ready", "pod", "-l", "app=callers", "--timeout=60s")
	// An upgrade is refused while a budget of the cluster's owner allows no disruption,
	// and the budgets' controller counts pods some time after they are ready.
	disruptible := func(allowed string) bool { return allowed != "" && allowed != "0" }
	c.eventually(t, time.Minute, disruptible, "get", "poddisruptionbudget", "served", "-o", "jsonpath={.status.disruptionsAllowed}")
	l := &load{cluster: c, done: make(chan struct{}), calls: map[string]int{}}
	l.counter.Go(l.count)
	t.Cleanup(l.end)
	return l
}

// end ends the counting.
func (l *load) end() {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	l.counter.Wait()
}

// count reads now and then how many calls were made: a caller takes its log along.
func (l *load) count() {
	for {
		l.read()
		select {
		case <-l.done:
			return
		case <-time.After(2 * time.Second):
		}
	}
}

// read reads the log of every caller that is there.
func (l *load) read() {
	pods, err := l.cluster.kubectl("get", "pods", "-l", "app=callers", "-o", "jsonpath={.items[*].metadata.name}")
	if err != nil {
		return
	}
	for _, pod := range strings.Fields(pods) {
		line, err := l.cluster.kubectl("logs", pod, "--tail=1")
		if n, convErr := strconv.Atoi(strings.TrimSpace(line)); err == nil && convErr == nil {
			l.calls[pod] = n
		}
	}
}

// stop asserts that callers called all the time and that no request failed.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.end()
	l.cluster.eventually(t, 30*time.Second, func(got string) bool { return got == "2" }, "get", "job", "callers", "-o", "jsonpath={.status.ready}")
	l.read()
	total := 0
	for _, calls := range l.calls {
		total += calls
	}
	failed := l.cluster.must(t, "get", "job", "callers", "-o", `jsonpath={.status.conditions[?(@.type=="Failed")].message}{.status.conditions[?(@.type=="FailureTarget")].message}`)
	if failed != "" {
		reason := l.cluster.must(t, "get", "pods", "-l", "app=callers", "-o", "jsonpath={range .items[*]}{.metadata.name} on {.spec.nodeName}: {.status.containerStatuses[0].state.terminated.message}{'\\n'}{end}")
		t.Errorf("a request to the service failed: %s\n%s", failed, reason)
	}
	if total < 100 {
		t.Errorf("only %d calls were seen: the test says nothing", total)
	}
	t.Logf("%d calls or more of %d callers: %v", total, len(l.calls), slices.Sorted(maps.Keys(l.calls)))
}
