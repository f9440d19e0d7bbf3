//go:build e2e

package linux

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/network/trace"
)

func (y *yard) usage(t *testing.T, id string) network.Usage {
	t.Helper()
	all, err := y.fabric.Measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, usage := range all {
		if usage.Network == id {
			return usage
		}
	}
	t.Fatalf("network %s is not measured: %+v", id, all)
	return network.Usage{}
}

func TestRulesServicesAndSharesAreCountedAcrossChanges(t *testing.T) {
	y := newYard(t)
	alpha := y.world.Networks[0]
	frontend := alpha.Frontends[0].Address
	counted := func() (denied, connections uint64) {
		usage := y.usage(t, "alpha")
		for _, rule := range usage.Rules {
			if rule.Subnet == "web" && rule.Rule == "no-web2" && rule.Direction == network.Inbound {
				denied = rule.Connections
			}
		}
		for _, service := range usage.Services {
			connections += service.Connections
		}
		return denied, connections
	}
	for range 3 {
		p := trace.Packet{Network: "alpha", From: addr("10.1.1.5"), To: addr("10.1.1.4"), Protocol: "UDP", Port: 8080}
		if got := y.becomes(t, p, 100*time.Millisecond); got != trace.Dropped {
			t.Fatalf("it is %s", got)
		}
		if err := dial("", frontend, 80, 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if denied, connections := counted(); denied != 3 || connections != 3 {
		t.Errorf("%d packets were denied and %d connections balanced, want 3 and 3", denied, connections)
	}
	alpha.Subnets[0].Rules = append(alpha.Subnets[0].Rules, network.SecurityRule{Name: "another", Priority: 105, Direction: network.Inbound, Sources: ranges("10.1.7.0/24")})
	must(t, y.fabric.EnsureNetwork(t.Context(), alpha))
	if denied, connections := counted(); denied != 3 || connections != 3 {
		t.Errorf("after a change of the rules, %d packets were denied and %d connections balanced, want 3 and 3", denied, connections)
	}
	p := trace.Packet{Network: "alpha", From: addr("10.1.1.4"), To: y.world.Endpoints[0].Address, Protocol: "TCP", Port: 443}
	if got := y.becomes(t, p, 5*time.Second); got != trace.Delivered {
		t.Fatalf("it is %s", got)
	}
	usage := y.usage(t, "alpha")
	if len(usage.Shares) != 7 || usage.Shares[5].Port != "web1" || usage.Shares[5].Used != 1 || usage.Shares[5].Limit != 8000 || usage.Tracked == 0 || usage.TrackedLimit < usage.Tracked {
		t.Errorf("the usage is %+v", usage)
	}
}

// A tenant sends until its router can note no more, and then its neighbour's
// connections are as before. The tables are those of namespaces, so the test
// needs no more of the host than the memory of one.
func TestATenantThatFillsItsTableHarmsNoOther(t *testing.T) {
	y := newYard(t)
	open := y.world.Endpoints[0].Address
	neighbour, err := dialInside(y.machines["other1"], open)
	must(t, err)
	defer neighbour.Close()
	limit := y.usage(t, "alpha").TrackedLimit
	must(t, inside(y.machines["web1"], func() error { return flood(y.world.Public, limit+limit/8) }))
	full := y.usage(t, "alpha")
	t.Logf("%d of %d tracked, %d evicted, %d rejected", full.Tracked, full.TrackedLimit, full.Evicted, full.Rejected)
	if full.Tracked < limit*9/10 || full.Evicted+full.Rejected == 0 {
		t.Errorf("the table is not full: %+v", full)
	}
	if other := y.usage(t, "beta"); other.Tracked > 100 || other.Evicted+other.Rejected > 0 {
		t.Errorf("the neighbour's table is %+v", other)
	}
	for range 50 {
		begun := time.Now()
		must(t, dial(y.machines["other1"], open, 443, 2*time.Second))
		if took := time.Since(begun); took > 500*time.Millisecond {
			t.Errorf("the neighbour's connection took %v", took)
		}
	}
	if _, err := neighbour.Write([]byte("hello")); err != nil {
		t.Errorf("the neighbour's connection from before: %v", err)
	}
}

func dialInside(namespace string, to netip.Addr) (conn net.Conn, err error) {
	err = inside(namespace, func() error {
		conn, err = net.DialTimeout("tcp4", netip.AddrPortFrom(to, 443).String(), 2*time.Second)
		return err
	})
	return conn, err
}

// flood sends datagrams, each a connection of its own, to addresses that nobody has.
func flood(public netip.Prefix, n uint64) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	const ports = 60000
	to := network.SpanOf(public).Last
	for sent := range n {
		if sent%ports == 0 {
			to = to.Prev()
		}
		err := unix.Sendto(socket, []byte("x"), 0, &unix.SockaddrInet4{Addr: to.As4(), Port: 1000 + int(sent%ports)})
		if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EHOSTUNREACH) && !errors.Is(err, unix.ECONNREFUSED) {
			return err
		}
	}
	return nil
}

func TestANodeWithoutASourcePortLeftHarmsNoOther(t *testing.T) {
	y := newYard(t)
	alpha := y.world.Networks[0]
	alpha.Outbounds[0].PortsPerNode = 16
	must(t, y.fabric.EnsureNetwork(t.Context(), alpha))
	open := y.world.Endpoints[0].Address
	var held []net.Conn
	var failed error
	for range 17 { // one more than there are ports towards one server
		conn, err := dialHeld(y.machines["web1"], open)
		if err != nil {
			failed = err
			break
		}
		held = append(held, conn)
		defer conn.Close()
	}
	if failed == nil || len(held) < 12 {
		t.Errorf("%d connections of 16 ports were made (%v)", len(held), failed)
	}
	if usage := y.usage(t, "alpha"); usage.Rejected == 0 || usage.Shares[5].Used < uint64(len(held)) || usage.Shares[5].Limit != 16 {
		t.Errorf("the usage is %+v", usage)
	}
	must(t, dial(y.machines["web2"], open, 443, 2*time.Second))
	must(t, dial(y.machines["other1"], open, 443, 2*time.Second))
}

func dialHeld(namespace string, to netip.Addr) (conn net.Conn, err error) {
	err = inside(namespace, func() error {
		dialer := net.Dialer{Timeout: 700 * time.Millisecond, LocalAddr: &net.TCPAddr{}}
		conn, err = dialer.Dial("tcp4", netip.AddrPortFrom(to, 443).String())
		return err
	})
	return conn, err
}
