//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"berth.dev/berth/test/leak"
)

func TestClustersAreAdoptedAfterAKillAndComeBackAfterAReboot(t *testing.T) {
	c := newCluster(t, "adopt", "-c", "1", "-s", "Standard_B2s")
	c.must(t, "apply", "-f", sample)
	c.must(t, "create", "configmap", "precious", "--from-literal=key=value")
	address := c.eventually(t, 30*time.Second, notEmpty, "get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	c.must(t, "rollout", "status", "deployment/web", "--timeout=60s")
	page := "http://" + address + "/"
	get(t, page)

	t.Run("every component is the same after the service was killed", func(t *testing.T) {
		c.adopted(t, page, func(process) bool { return false })
	})
	t.Run("every component is the same after the supervisors on the host were killed too", func(t *testing.T) {
		c.adopted(t, page, func(p process) bool {
			return strings.HasPrefix(p.name(), "berth-supervisor") && p.place() != "machine" // a machine's is its first process
		})
	})
	t.Run("a reboot of the host brings the cluster back with its data", func(t *testing.T) {
		began := time.Now()
		reboot(t)
		must(t, "up", "--detach")
		if got := c.eventually(t, 30*time.Second, notEmpty, "get", "configmap", "precious", "-o", "jsonpath={.data.key}"); got != "value" {
			t.Errorf("the ConfigMap holds %q", got)
		}
		expect(t, page, true)
		c.settled(t, 1)
		get(t, page)
		if took := time.Since(began); took > 40*time.Second {
			t.Errorf("it took %v", took)
		}
		t.Logf("back after %v", time.Since(began).Round(time.Millisecond))
	})
}

// adopted kills the service and what else it is told, starts the service and
// expects every process of clusters to be the same and the page to have
// answered all the while.
func (c *cluster) adopted(t *testing.T, page string, also func(process) bool) {
	t.Helper()
	before, componentsBefore := pids(t)
	asked, failed := fetchMeanwhile(t, page, func() {
		killDaemon(t)
		for _, p := range processes(t) {
			if also(p) {
				if err := p.kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Second) // the page has to answer without the service, too
		must(t, "up", "--detach")
		must(t, "aks", "show", "-g", c.group, "-n", c.name)
	})
	after, componentsAfter := pids(t)
	if before == after {
		t.Errorf("the service has pid %d as before", after)
	}
	if componentsBefore != componentsAfter {
		t.Errorf("components changed from\n%s\nto\n%s", componentsBefore, componentsAfter)
	}
	if failed != 0 || asked < 50 {
		t.Errorf("%d of %d fetches of the page failed", failed, asked)
	}
}

// fetchMeanwhile fetches a page over new connections, four at a time, while
// something happens. An answer may take long on a busy machine; a refusal comes at
// once.
func fetchMeanwhile(t *testing.T, page string, happens func()) (asked, failed int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var fetcher sync.WaitGroup
	defer fetcher.Wait() // also where what happens fails: nobody may log once the test has ended
	defer cancel()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var counted, wrong atomic.Int64
	for range 4 {
		fetcher.Go(func() {
			for ctx.Err() == nil {
				counted.Add(1)
				response, err := client.Get(page)
				if err == nil {
					response.Body.Close()
				}
				if err != nil || response.StatusCode != http.StatusOK {
					wrong.Add(1)
					t.Logf("%s: %s: %v", time.Now().Format(time.TimeOnly), page, err)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	happens()
	cancel()
	fetcher.Wait()
	return counted.Load(), wrong.Load()
}

// reboot takes from the host what a reboot takes: every process of the
// install, its namespaces, links, tables and cgroups.
func reboot(t *testing.T) {
	t.Helper()
	killDaemon(t)
	for deadline := time.Now().Add(15 * time.Second); ; {
		left := processes(t)
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d processes cannot be killed, %q among them", len(left), left[0].command)
		}
		for _, p := range left {
			if err := p.kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left, failed := takeAway(t)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left after the reboot: %q\n%s", left, strings.Join(failed, "\n"))
		}
	}
}

// removeNamespace also removes one that was mounted before the first "ip netns" of
// this host, or CNI, mounted the directory of namespaces over itself: covered by
// that, it is a mount point still, but not in a copy of the mounts that is uncovered.
const removeNamespace = `ip netns delete "$0" ||
	unshare --mount sh -c 'umount -l /run/netns; umount -l "/run/netns/$0"; rm "/run/netns/$0"' "$0"`

// takeAway removes what the install has on the host, once. Some of it the
// kernel gives up a moment later: what is left is for the next call.
func takeAway(t *testing.T) (left, failed []string) {
	t.Helper()
	seen, err := leak.Take(leak.Instance{ID: service.instance, Home: service.home})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []struct {
		name    string
		removal []string
	}{
		{"process", nil},
		{"netns", []string{"sh", "-c", removeNamespace, "NAME"}}, // and the links that end in it
		{"nft table", []string{"nft", "delete", "table", "inet", "NAME"}},
		{"link", []string{"ip", "link", "delete", "NAME"}},
		{"cgroup", []string{"find", "NAME", "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"}},
		{"loop device", nil},
		{"mount", nil},
	} {
		for name := range seen[kind.name] {
			left = append(left, kind.name+" "+name)
			if kind.removal == nil {
				continue
			}
			arguments := slices.Clone(kind.removal)
			arguments[slices.Index(arguments, "NAME")] = name
			if said, err := exec.Command(arguments[0], arguments[1:]...).CombinedOutput(); err != nil {
				failed = append(failed, fmt.Sprintf("%s: %v: %s", strings.Join(arguments, " "), err, said))
			}
		}
	}
	return left, failed
}
