//go:build e2e

package e2e

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTwoClustersWithTheSameRangesCannotReachEachOther(t *testing.T) {
	var a, b *cluster
	var both sync.WaitGroup
	both.Go(func() { a = newCluster(t, "left", "-c", "1", "-s", "Standard_B2s") })
	both.Go(func() { b = newCluster(t, "right", "-c", "1", "-s", "Standard_B2s") })
	both.Wait()
	if t.Failed() {
		return
	}
	for _, c := range []*cluster{a, b} {
		c.must(t, "apply", "-f", sample)
		c.client(t, "client")
	}
	address := b.eventually(t, 30*time.Second, notEmpty, "get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	b.must(t, "rollout", "status", "deployment/web", "--timeout=60s")
	b.fromPod(t, "http://web.default.svc.cluster.local/") // the node learns of endpoints a moment after the Deployment counts them

	// The positive control: another tenant reaches what is public.
	a.eventually(t, 20*time.Second, notEmpty, "exec", "client", "--", "/client", "get", "http://"+address+"/")

	b.must(t, "scale", "deployment/web", "--replicas=8") // more than a has pods: some of its addresses are surely not a's own
	b.must(t, "rollout", "status", "deployment/web", "--timeout=60s")
	t.Run("pods of another tenant", func(t *testing.T) { foreignPods(t, a, b) })
	t.Run("the host", func(t *testing.T) { hostFromPods(t, a) })
	t.Run("the control plane of another tenant", func(t *testing.T) { foreignControlPlane(t, a, b) })
	t.Run("ways out of a machine", func(t *testing.T) { escapes(t, a) })
	t.Run("an API server with authorized ranges", func(t *testing.T) { authorizedRanges(t, a, b) })
	t.Run("traces", func(t *testing.T) { traces(t, a, b) })
	t.Run("damaged objects", func(t *testing.T) { damagedObjects(t, a, b) })
}

// foreignPods has a's pods ask for b's by their addresses. Each is first shown
// to answer its own cluster, and not to be an address of a's.
func foreignPods(t *testing.T, a, b *cluster) {
	t.Helper()
	const addresses = "jsonpath={range .items[*]}{.status.podIP}{\"\\n\"}{end}"
	own := a.must(t, "get", "pods", "-A", "-o", addresses) + "\n"
	tried := 0
	for pod := range strings.Lines(b.must(t, "get", "pods", "-l", "app=web", "-o", addresses) + "\n") {
		if strings.Contains("\n"+own, "\n"+pod) {
			continue
		}
		url := "http://" + strings.TrimSpace(pod) + ":8080/"
		b.must(t, "exec", "client", "--", "/client", "get", url)
		tried++
		if page, err := a.kubectl("exec", "client", "--", "/client", "get", url); err == nil {
			t.Errorf("%s of another cluster answered: %s", url, page)
		}
	}
	if tried == 0 {
		t.Error("no pod of the other cluster was tried")
	}
}

// hostFromPods listens on the host's own address on the edge, which the host
// itself reaches and no pod may.
func hostFromPods(t *testing.T, a *cluster) {
	t.Helper()
	status, err := service.status()
	if err != nil {
		t.Fatal(err)
	}
	host := netip.MustParsePrefix(status.Host.PublicRange).Addr().Next()
	listener, err := net.Listen("tcp", netip.AddrPortFrom(host, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	connection, err := net.DialTimeout("tcp", listener.Addr().String(), 2*time.Second)
	if err != nil {
		t.Fatalf("the host does not reach itself: %v", err)
	}
	connection.Close()
	if answer, err := a.kubectl("exec", "client", "--", "/client", "connect", listener.Addr().String()); err == nil {
		t.Errorf("the host answered a pod on %s: %s", listener.Addr(), answer)
	}
}

// foreignControlPlane asks for ports of b's control plane: the public one
// answers, what belongs to the control plane alone does not.
func foreignControlPlane(t *testing.T, a, b *cluster) {
	t.Helper()
	server := b.must(t, "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
	address := strings.TrimSuffix(strings.TrimPrefix(server, "https://"), ":443")
	a.must(t, "exec", "client", "--", "/client", "connect", address+":443")
	for _, port := range []string{"2379", "2380", "10257", "10259", "8133", "8134"} {
		if answer, err := a.kubectl("exec", "client", "--", "/client", "connect", address+":"+port); err == nil {
			t.Errorf("the control plane of another cluster answered on %s: %s", port, answer)
		}
	}
}
