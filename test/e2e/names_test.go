//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// names resolves the zone from a pod and from the host, and kills its server.
func (c *cluster) names(t *testing.T) {
	t.Helper()
	fqdn := strings.TrimSpace(must(t, "aks", "show", "-g", c.group, "-n", c.name, "--query", "fqdn", "-o", "tsv"))
	address := c.address(t)
	// The client trusts the cluster's CA and no other.
	c.must(t, "run", "resolver", "--image=berth.internal/test/client:v1", "--restart=Never",
		"--env=SSL_CERT_FILE=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", "--command", "--", "/client", "sleep")
	c.must(t, "wait", "--for=condition=Ready", "pod/resolver", "--timeout=60s")
	client := func(arguments ...string) []string {
		return append([]string{"exec", "resolver", "--", "/client"}, arguments...)
	}
	if got := c.eventually(t, 10*time.Second, notEmpty, client("lookup", fqdn)...); got != address {
		t.Errorf("%s is %s in a pod, want %s", fqdn, got, address)
	}
	c.must(t, client("connect", fqdn+":443")...)
	// Who checks a token by the discovery of its issuer reaches and trusts that from any pod.
	var issuer struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal([]byte(c.must(t, "get", "--raw", "/.well-known/openid-configuration")), &issuer); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"https://" + fqdn + "/readyz", issuer.Issuer + "/.well-known/openid-configuration", issuer.Keys} {
		// Refused for want of a token: by then the certificate was verified.
		if _, err := c.kubectl(client("get", url)...); err == nil || !strings.Contains(err.Error(), "answered 401") {
			t.Errorf("%s does not verify with the cluster's CA: %v", url, err)
		}
	}
	location, zone, _ := strings.Cut(fqdn[strings.Index(fqdn, ".hcp.")+len(".hcp."):], ".")
	c.must(t, client("connect", "management."+location+"."+zone+":443")...)
	for _, nowhere := range []string{"nowhere." + zone, "www.example.com"} {
		asked := time.Now()
		if _, err := c.kubectl(client("lookup", nowhere)...); err == nil || !strings.Contains(err.Error(), "no such host") {
			t.Errorf("looking up %s: %v", nowhere, err)
		}
		if took := time.Since(asked); took > 3*time.Second {
			t.Errorf("it took %v to say that there is no %s", took, nowhere)
		}
	}
	killedDNS(t)
	c.eventually(t, 5*time.Second, notEmpty, client("lookup", fqdn)...)
}

// killedDNS kills the install's DNS server and expects another within two seconds.
func killedDNS(t *testing.T) {
	t.Helper()
	find := func() (process, bool) {
		for _, p := range processes(t) {
			if p.name() == "coredns" && strings.Contains(p.cgroup, "/berth-"+service.instance+"/dns") {
				return p, true
			}
		}
		return process{}, false
	}
	victim, found := find()
	if !found {
		t.Fatal("no DNS server runs")
	}
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", victim.pid)); err != nil || !strings.Contains(string(status), "CapEff:\t0000000000000000") ||
		strings.Contains(string(status), "Uid:\t0\t") {
		t.Errorf("the DNS server has privileges: %s, %v", status, err)
	}
	if err := syscall.Kill(victim.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for died := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if p, running := find(); running && p.pid != victim.pid {
			return
		}
		if time.Since(died) > 2*time.Second {
			t.Fatal("the DNS server was not started again within 2 s")
		}
	}
}
