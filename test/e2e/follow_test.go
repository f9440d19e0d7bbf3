//go:build e2e

package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// moves is a service of the sample that the test takes through every type.
const moves = `
apiVersion: v1
kind: Service
metadata: {name: moves}
spec: {type: NodePort, sessionAffinity: ClientIP, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`

// servesOnTwoNodes is what takes two nodes to try.
func (c *cluster) servesOnTwoNodes(t *testing.T) {
	t.Helper()
	c.servicesFollow(t)
	t.Run("and passes specs of upstream's", func(t *testing.T) { c.passesUpstreamsSpecs(t, 2) })
	c.deadNodeLeaves(t)
}

// servicesFollow takes a service through what upstream's specs of sig-network
// try most: node ports of every node, clients that stay with their pod, types
// that change, and pods that go and come. The pod client and two pods of the
// sample are there.
func (c *cluster) servicesFollow(t *testing.T) {
	t.Helper()
	c.applyText(t, moves)
	defer c.must(t, "delete", "service", "moves", "--wait")
	field := func(path string) string {
		return c.must(t, "get", "service", "moves", "-o", "jsonpath={"+path+"}")
	}
	port := field(".spec.ports[0].nodePort")
	for address := range strings.FieldsSeq(c.must(t, "get", "nodes", "-o", `jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}`)) {
		c.fromPod(t, "http://"+address+":"+port+"/")
	}
	// Were each call's pod drawn, ten calls would meet one pod alone once in five hundred times.
	if pods := c.answering(t, "http://moves.default.svc.cluster.local/"); len(pods) != 1 {
		t.Errorf("a client that is to stay with its pod met %v", pods)
	}

	c.must(t, "patch", "service", "moves", "-p", `{"spec":{"type":"LoadBalancer"}}`)
	address := c.eventually(t, 30*time.Second, notEmpty, "get", "service", "moves", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	page := "http://" + address + "/"
	get(t, page)
	if now := field(".spec.ports[0].nodePort"); now != port {
		t.Errorf("the node port was %s and is %s", port, now)
	}

	c.must(t, "scale", "deployment/web", "--replicas=0")
	expect(t, page, false)
	c.must(t, "scale", "deployment/web", "--replicas=2")
	expect(t, page, true)

	c.must(t, "patch", "service", "moves", "-p", `{"spec":{"type":"ClusterIP"}}`)
	expect(t, page, false)
	if left := field(".status.loadBalancer.ingress"); left != "" {
		t.Errorf("a service without a balancer says that it has %s", left)
	}
	c.fromPod(t, "http://moves.default.svc.cluster.local/")
}

// fromPod fetches a page of the sample in the pod client, again for a while.
func (c *cluster) fromPod(t *testing.T, url string) string {
	t.Helper()
	return c.eventually(t, 20*time.Second, func(page string) bool { return strings.Contains(page, "web") }, "exec", "client", "--", "/client", "get", url)
}

// answering are the pods that answer ten calls of the pod client.
func (c *cluster) answering(t *testing.T, url string) map[string]int {
	t.Helper()
	named := regexp.MustCompile(`<dt>pod</dt><dd>([^<]+)`)
	pods := map[string]int{}
	for range 10 {
		found := named.FindStringSubmatch(c.fromPod(t, url))
		if found == nil {
			t.Fatalf("the page of %s names no pod", url)
		}
		pods[found[1]]++
	}
	return pods
}

// expect waits until a page is answered three times in a row, or until it is not.
func expect(t *testing.T, page string, want bool) {
	t.Helper()
	const within = 30 * time.Second
	row := 0
	for deadline := time.Now().Add(within); row < 3; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v that %s is answered is still %v", within, page, !want)
		}
		if row++; answers(page) != want {
			row = 0
		}
	}
}
