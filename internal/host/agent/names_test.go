package agent

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	hostapi "berth.dev/berth/api/host/v1alpha1"
	"berth.dev/berth/internal/dns"
)

// names is a DNS server in memory; it runs from the second look on.
type names struct {
	last dns.Desired
	asks int
	fail error
}

func (n *names) Ensure(_ context.Context, desired dns.Desired) (bool, error) {
	n.last, n.asks = desired, n.asks+1
	return n.asks > 1, n.fail
}

func (n *names) served() string {
	var lines []string
	for _, r := range n.last.Zone.Hosts() {
		lines = append(lines, r.Name+" "+r.Address.String())
	}
	return strings.Join(lines, "\n")
}

func aHost() *hostapi.Host {
	return &hostapi.Host{
		ObjectMeta: metav1.ObjectMeta{Name: hostName, Generation: 1},
		Spec:       hostapi.HostSpec{CPUOvercommit: 8, MemoryOvercommit: 2, PublicRange: "198.18.0.0/20"},
	}
}

func (w *world) names(server *names) *nameReconciler {
	d := w.deps
	d.Names = server
	d.DNS = dns.Desired{Zone: dns.Zone{
		Name: "berth.internal", Server: netip.MustParseAddr("198.18.0.3"),
		Records: slices.Clip([]dns.Record{{Name: "management.local.berth.internal", Address: netip.MustParseAddr("198.18.0.2")}}),
	}}
	return &nameReconciler{client: w.client, Dependencies: d}
}

func TestTheZoneHasTheServiceAndEveryControlPlaneForAsLongAsItIsThere(t *testing.T) {
	own := "dns.berth.internal 198.18.0.3\nmanagement.local.berth.internal 198.18.0.2"
	w, server := newWorld(t, aHost(), controlPlane()), &names{}
	r := w.names(server)
	if result := until(t, r, hostName, once); result.RequeueAfter != soon {
		t.Errorf("a server that does not run yet is looked at again after %v", result.RequeueAfter)
	}
	var host hostapi.Host
	w.get(t, &host, hostName)
	expect(t, host.Status.Conditions, hostapi.ConditionDNSReady, "False", "waiting")
	until(t, r, hostName, settledDown)
	if got := server.served(); got != "demo.hcp.local.berth.internal 198.18.0.16\n"+own {
		t.Errorf("the zone has\n%s", got)
	}
	w.get(t, &host, hostName)
	expect(t, host.Status.Conditions, hostapi.ConditionDNSReady, "True", "198.18.0.3")

	var object containerservice.ControlPlane
	w.get(t, &object, incarnation)
	if err := w.client.Delete(t.Context(), &object); err != nil {
		t.Fatal(err)
	}
	until(t, r, hostName, settledDown)
	if got := server.served(); got != own {
		t.Errorf("after the cluster's end the zone has\n%s", got)
	}
}

func TestADNSServerThatFailsIsAConditionAndIsTriedAgain(t *testing.T) {
	w, server := newWorld(t, aHost()), &names{fail: errors.New("no room on the disk")}
	if result := until(t, w.names(server), hostName, once); result.RequeueAfter != retry {
		t.Errorf("comes again after %v", result.RequeueAfter)
	}
	var host hostapi.Host
	w.get(t, &host, hostName)
	expect(t, host.Status.Conditions, hostapi.ConditionDNSReady, "False", "no room")
}

func TestAnAddressThatCannotBeReadCostsNoOtherClusterItsName(t *testing.T) {
	broken := controlPlane()
	broken.Name, broken.Spec.FQDN, broken.Spec.Address = "broken", "broken.hcp.local.berth.internal", "nowhere"
	w, server := newWorld(t, aHost(), broken, controlPlane()), &names{}
	until(t, w.names(server), hostName, settledDown)
	if got := server.served(); !strings.Contains(got, "demo.hcp") || strings.Contains(got, "broken") {
		t.Errorf("the zone has\n%s", got)
	}
}

func TestAnEdgeThatSomebodyRemovedIsMadeAgainAtTheNextResync(t *testing.T) {
	w := newWorld(t, aHost())
	r := &hostReconciler{client: w.client, Dependencies: w.deps}
	until(t, r, hostName, settledDown)
	for range 2 { // not only at the start
		if err := w.fabric.DeleteEdge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if result := until(t, r, hostName, once); result.RequeueAfter != resync {
			t.Errorf("the edge is looked at again after %v", result.RequeueAfter)
		}
		if _, there := w.fabric.Edge(); !there {
			t.Fatal("the edge is gone")
		}
	}
}
