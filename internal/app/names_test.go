package app

import (
	"crypto/x509"
	"net/netip"
	"strings"
	"testing"
	"time"

	"berth.dev/berth/internal/dns"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/network/linux"
	"berth.dev/berth/internal/pki"
)

func TestTheFrontEndIsNamedInTheZoneAsItsCertificateSays(t *testing.T) {
	o := Options{DNSZone: "example.net", Location: "here", Listen: "127.0.0.1:7443"}
	d := &daemon{options: o, home: home.Home{Instance: "abcd"}, drivers: drivers{fabric: linux.New(linux.Options{Instance: "abcd"})}}
	plan := network.PlanPublicRange(netip.MustParsePrefix("198.18.16.0/20"))
	authority, err := pki.NewAuthority("Berth", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := newCertificates(authority, o, plan.FrontEnd).get(nil)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.CertificatePEM())
	var named []string
	for _, host := range d.zone(plan).Zone.Hosts() {
		if host.Name == dns.ServerName("example.net") {
			if host.Address != plan.DNS {
				t.Errorf("the zone's server is %s, want %s", host.Address, plan.DNS)
			}
			continue
		}
		named = append(named, host.Name)
		if host.Address != plan.FrontEnd {
			t.Errorf("%s is %s, want %s", host.Name, host.Address, plan.FrontEnd)
		}
		if _, err := certificate.Leaf.Verify(x509.VerifyOptions{DNSName: host.Name, Roots: roots}); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Join(named, " "); got != "login.here.example.net management.here.example.net" {
		t.Errorf("the zone names %q", got)
	}
}

func TestAServerThatDoesNotAnswerIsSaidSo(t *testing.T) {
	// Port 1 of loopback: refused at once.
	if err := askDNS(t.Context(), netip.MustParseAddrPort("127.0.0.1:1"), "example.net"); err == nil {
		t.Error("nobody answered, and nobody noticed")
	}
	if status := readDNS(t.Context(), Options{DNSZone: "example.net"}, "nonsense"); status.Ready || status.Message == "" {
		t.Errorf("status is %+v", status)
	}
}
