package app

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"berth.dev/berth/internal/dns"
	"berth.dev/berth/internal/network"
)

// dnsTimeout is how long the zone's server has to answer.
const dnsTimeout = time.Second

// dnsPort is the port of every DNS server.
const dnsPort = 53

// DNSStatus says whether the server of the install zone answers.
type DNSStatus struct {
	Zone    string `json:"zone"`
	Address string `json:"address"`
	Ready   bool   `json:"ready"`
	Message string `json:"message,omitempty"`
}

// readDNS asks the server for its own name.
func readDNS(ctx context.Context, o Options, publicRange string) *DNSStatus {
	status := &DNSStatus{Zone: o.DNSZone}
	prefix, err := netip.ParsePrefix(publicRange)
	if err != nil {
		status.Message = fmt.Sprintf("the public range: %v", err)
		return status
	}
	server := network.PlanPublicRange(prefix).DNS
	status.Address = server.String()
	if err := askDNS(ctx, netip.AddrPortFrom(server, dnsPort), o.DNSZone); err != nil {
		status.Message = err.Error()
		return status
	}
	status.Ready = true
	return status
}

// askDNS fails unless a server says that a zone's server is itself.
func askDNS(ctx context.Context, server netip.AddrPort, zone string) error {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, protocol, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, protocol, server.String())
	}}
	addresses, err := resolver.LookupNetIP(ctx, "ip4", dns.ServerName(zone)+".")
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(addresses, func(a netip.Addr) bool { return a.Unmap() == server.Addr() }) {
		return fmt.Errorf("it says that the server of %s is %v", zone, addresses)
	}
	return nil
}
