//go:build e2e

package linux

import (
	"os"
	"strings"
	"testing"
)

func TestAnyProcessInTheEdgeMayBindAnyPortAndNobodyElse(t *testing.T) {
	const file = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
	floor := func(namespace string) string {
		var content []byte
		if err := inside(namespace, func() (err error) {
			content, err = os.ReadFile(file)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(content))
	}
	host := floor("")
	s := newSite(t)
	edge := s.fabric.EdgeNamespace()
	if got := floor(edge); got != "0" {
		t.Errorf("the first port for everyone is %s", got)
	}
	if err := applyIn(edge, []setting{{name: "ipv4/ip_unprivileged_port_start", value: "1024"}}); err != nil {
		t.Fatal(err)
	}
	s.ensure(t)
	if got := floor(edge); got != "0" {
		t.Errorf("after a hand changed it, it stays %s", got)
	}
	if got := floor(s.fabric.names.router(s.network.ID)); got == "0" {
		t.Error("it is so in a router, too")
	}
	if got := floor(""); got != host {
		t.Errorf("the host's first port for everyone went from %s to %s", host, got)
	}
}
