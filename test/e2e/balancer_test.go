//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// kinds are services of the sample, one of each kind that balancers tell apart.
const kinds = `
apiVersion: v1
kind: Service
metadata: {name: inside, annotations: {service.beta.kubernetes.io/azure-load-balancer-internal: "true"}}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: beside, annotations: {service.beta.kubernetes.io/azure-load-balancer-internal: "true"}}
spec: {type: LoadBalancer, loadBalancerIP: 10.224.0.200, selector: {app: web}, ports: [{name: a, port: 80, targetPort: 8080}, {name: b, port: 81, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: near}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: closed}
spec: {type: LoadBalancer, loadBalancerSourceRanges: [203.0.113.0/24], selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: sctp}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080, protocol: SCTP}]}
`

// servesServices expects every kind of service to be reached from where it
// should be, and from nowhere else. The pod client and the sample are there.
func (c *cluster) servesServices(t *testing.T) {
	t.Helper()
	c.applyText(t, kinds)
	defer c.must(t, "delete", "service", "inside", "beside", "near", "closed", "sctp", "--wait")
	address := func(service string) string {
		return c.eventually(t, 30*time.Second, notEmpty, "get", "service", service, "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	}
	inside := address("inside")
	if !strings.HasPrefix(inside, "10.224.") {
		t.Errorf("the internal service has the address %s", inside)
	}
	c.fromPod(t, "http://"+inside+"/")
	if beside := address("beside"); beside != "10.224.0.200" {
		t.Errorf("the service that asks for 10.224.0.200 has %s", beside)
	}
	c.fromPod(t, "http://10.224.0.200/")
	c.fromPod(t, "http://10.224.0.200:81/")
	if page := get(t, "http://"+address("near")+"/"); strings.Contains(page, "<dt>you</dt><dd>10.") {
		t.Errorf("a service with externalTrafficPolicy Local does not see its client: %s", page)
	}
	quick := http.Client{Timeout: time.Second}
	if response, err := quick.Get("http://" + address("closed") + "/"); err == nil {
		response.Body.Close()
		t.Error("a service was reached from outside of its source ranges")
	}
	refusal := c.eventually(t, 10*time.Second, notEmpty, "get", "events", "--field-selector", "involvedObject.name=sctp,reason=LoadBalancerRefused", "-o", "jsonpath={.items[0].message}")
	if !strings.Contains(refusal, "SCTP") {
		t.Errorf("SCTP is refused with %q", refusal)
	}
	node := c.must(t, "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
	c.eventually(t, 90*time.Second, notEmpty, "exec", "client", "--", "/client", "lookup", node)
}

// deadNodeLeaves kills one of two nodes while the service is dead, too, and
// expects new connections to go to the other one alone within five seconds.
func (c *cluster) deadNodeLeaves(t *testing.T) {
	t.Helper()
	c.must(t, "expose", "deployment", "web", "--name=spread", "--type=LoadBalancer", "--port=80", "--target-port=8080", `--overrides={"spec":{"externalTrafficPolicy":"Local"}}`)
	defer c.must(t, "delete", "service", "spread", "--wait")
	c.must(t, "rollout", "restart", "deployment/web") // the scheduler spreads what it places anew
	c.must(t, "rollout", "status", "deployment/web", "--timeout=60s")
	c.eventually(t, 60*time.Second, func(nodes string) bool { // nothing of the former pods is left
		at := strings.Fields(nodes)
		return len(at) == 2 && at[0] != at[1]
	}, "get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].spec.nodeName}")
	stays := c.must(t, "get", "pod", "client", "-o", "jsonpath={.spec.nodeName}")
	victim := c.must(t, "get", "nodes", "-o", "jsonpath={.items[?(@.metadata.name!='"+stays+"')].metadata.name}")
	page := "http://" + c.eventually(t, 30*time.Second, notEmpty, "get", "service", "spread", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}") + "/"
	get(t, page)
	killDaemon(t)
	c.killNode(t, victim)
	died := time.Now()
	var last time.Time
	for row := 0; row < 20; { // twenty in a row would go to the dead one once in a million runs
		if answers(page) {
			row++
			continue
		}
		row, last = 0, time.Now()
		if last.Sub(died) > 15*time.Second {
			t.Fatal("the service is not reached any more")
		}
	}
	if took := last.Sub(died); took > 5*time.Second {
		t.Errorf("the dead node was in rotation for %s, want at most 5s", took)
	}
	must(t, "up", "--detach")
	c.must(t, "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=90s")
}

// answers says whether a page comes within a second, over a connection of its own.
func answers(page string) bool {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(page)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil && response.StatusCode == http.StatusOK
}

// killNode kills every process of a node's machine.
func (c *cluster) killNode(t *testing.T, node string) {
	t.Helper()
	machine := ""
	all := processes(t)
	for _, p := range all {
		if p.name() == "kubelet" && strings.Contains(p.command, "--hostname-override="+node+" ") {
			machine = p.cgroup
		}
	}
	_, group, found := strings.Cut(machine, "/berth-"+service.instance+"/")
	group, _, _ = strings.Cut(strings.SplitN(group, "\n", 2)[0], "/")
	if !found || !strings.HasPrefix(group, "machine-") {
		t.Fatalf("no kubelet of node %s: cgroup %q", node, machine)
	}
	for _, p := range all {
		if strings.Contains(p.cgroup, fmt.Sprintf("/berth-%s/%s", service.instance, group)) {
			if err := p.kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
