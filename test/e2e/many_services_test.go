//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// manyServices are more than a node's kernel takes in one transaction over a socket
// as a user namespace may make it.
const manyServices = 200

// programsManyServices makes hundreds of services at once, kills kube-proxy, which
// then writes all of them in one transaction, and expects old and new ones to be
// reached. The pod client and the sample are there.
func (c *cluster) programsManyServices(t *testing.T) {
	t.Helper()
	var manifest strings.Builder
	for i := range manyServices {
		fmt.Fprintf(&manifest, "{apiVersion: v1, kind: Service, metadata: {name: many-%d, labels: {many: services}}, spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}\n---\n", i)
	}
	// Strictly validated each would be a request more.
	path := t.TempDir() + "/many.yaml"
	put(t, path, manifest.String())
	c.must(t, "create", "--validate=false", "-f", path)
	defer c.must(t, "delete", "--raw", "/api/v1/namespaces/default/services?labelSelector=many%3Dservices") // at once
	reached := func(service string) {
		address := c.must(t, "get", "service", service, "-o", "jsonpath={.spec.clusterIP}")
		c.eventually(t, 30*time.Second, func(page string) bool { return strings.Contains(page, "web") }, "exec", "client", "--", "/client", "get", "http://"+address+"/")
	}
	reached("many-0")
	reached(fmt.Sprintf("many-%d", manyServices-1))
	killed := 0
	for _, p := range processes(t) {
		if p.name() == "kube-proxy" {
			if err := p.kill(); err != nil {
				t.Fatal(err)
			}
			killed++
		}
	}
	if killed == 0 {
		t.Fatal("no kube-proxy runs")
	}
	c.must(t, "expose", "deployment", "web", "--name=many-late", "--port=80", "--target-port=8080", "--labels=many=services")
	reached("many-late")
	reached("many-0")
}
