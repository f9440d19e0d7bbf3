//go:build e2e

package e2e

import (
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
	b.must(t, "exec", "client", "--", "/client", "get", "http://web.default.svc.cluster.local/")

	// The positive control: another tenant reaches what is public.
	a.eventually(t, 20*time.Second, notEmpty, "exec", "client", "--", "/client", "get", "http://"+address+"/")

	// What is private: the pods and nodes of b, as a names them. The same
	// addresses exist in a, so each is first shown not to be a's own.
	pods := b.must(t, "get", "pods", "-A", "-o", "jsonpath={range .items[*]}{.status.podIP}{\"\\n\"}{end}")
	own := a.must(t, "get", "pods", "-A", "-o", "jsonpath={range .items[*]}{.status.podIP}{\"\\n\"}{end}")
	tried := 0
	for pod := range strings.Lines(pods) {
		if pod = strings.TrimSpace(pod); pod == "" || strings.Contains(own+"\n", pod+"\n") || strings.HasPrefix(pod, "10.224.") {
			continue
		}
		tried++
		if page, err := a.kubectl("exec", "client", "--", "/client", "get", "http://"+pod+":8080/"); err == nil {
			t.Errorf("%s of another cluster answered: %s", pod, page)
		}
	}
	t.Logf("tried %d pods of the other cluster", tried)

	// What no tenant may reach: the host's end of the edge, any port.
	hostAddress := strings.TrimSuffix(address, address[strings.LastIndexByte(address, '.')+1:]) + "1"
	for _, port := range []string{"22", "7443", "2379"} {
		if answer, err := a.kubectl("exec", "client", "--", "/client", "connect", hostAddress+":"+port); err == nil {
			t.Errorf("the host answered on %s: %s", port, answer)
		}
	}
}
