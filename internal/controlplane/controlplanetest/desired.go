package controlplanetest

import (
	"net/netip"
	"testing"
	"time"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// Desired is a whole control plane with a PKI of its own; a driver's test adds
// its programs and where it runs.
func Desired(t *testing.T, address netip.Addr) controlplane.Desired {
	t.Helper()
	id := naming.Incarnation()
	services := netip.MustParsePrefix("10.0.0.0/16")
	fqdn := id + ".hcp.local.berth.internal"
	credentials, err := pki.NewCluster(pki.ClusterNames{FQDN: fqdn, Address: address, ServiceAddress: services.Addr().Next()}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	binaries := map[string]string{}
	for _, name := range []string{
		controlplane.Konnectivity, controlplane.Etcd, controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler,
	} {
		binaries[name] = "/opt/berth/bin/" + name
	}
	return controlplane.Desired{
		ID: id, Version: "1.35.4", Binaries: binaries, Address: address, FQDN: fqdn,
		Issuer:     "https://oidc.local.berth.internal/00000000-0000-0000-0000-000000000000/" + id + "/",
		EtcdPrefix: "/berth/" + id, ServiceCIDR: services, PodCIDR: netip.MustParsePrefix("10.244.0.0/16"),
		UserID: 64000, Credentials: credentials,
	}
}
