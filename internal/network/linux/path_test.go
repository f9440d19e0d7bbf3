//go:build e2e

package linux

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// How the measurement is taken, and what rules may cost: processor time is told
// well on a busy machine, too. Throughput and latency are for a quiet one: "make
// bench" has them written to the file that figuresFile names, and judges them.
const (
	rounds      = 7
	pouring     = 300 * time.Millisecond
	roundTrips  = 2000
	mostCost    = 1.5
	figuresFile = "BERTH_NETWORK_FIGURES"
)

// lane is a way from a client to an address on which a server listens.
type lane struct {
	client, server string
	to             netip.AddrPort
	listen         netip.AddrPort
}

// figures of one lane: bytes a second, processor seconds a gigabyte, and the
// 99th percentile of one-byte round trips.
type figures struct {
	Throughput, Cost, Latency []float64
}

func TestTheRulesCostLittleAgainstTheSameHopsByHand(t *testing.T) {
	insideBerth, publicBerth := berthLanes(t)
	insideHand, publicHand := handLanes(t)
	measured := map[string]*figures{"inside": {}, "inside by hand": {}, "public": {}, "public by hand": {}}
	lanes := map[string]lane{"inside": insideBerth, "inside by hand": insideHand, "public": publicBerth, "public by hand": publicHand}
	for range rounds { // interleaved: what else the machine does hits all alike
		for _, name := range []string{"inside", "inside by hand", "public", "public by hand"} {
			measured[name].add(t, lanes[name])
		}
	}
	for _, name := range []string{"inside", "public"} {
		berth, hand := measured[name], measured[name+" by hand"]
		cost := median(berth.Cost) / median(hand.Cost)
		t.Logf("%s: %.2f GB/s, by hand %.2f: %.1f %%; %.3f CPU s/GB, by hand %.3f; one byte p99 %.0f us, by hand %.0f", name,
			median(berth.Throughput)/1e9, median(hand.Throughput)/1e9, 100*median(berth.Throughput)/median(hand.Throughput),
			median(berth.Cost), median(hand.Cost), median(berth.Latency)*1e6, median(hand.Latency)*1e6)
		if cost > mostCost {
			t.Errorf("%s: %.2f times the processor time by hand, want %.1f at most", name, cost, mostCost)
		}
	}
	if file := os.Getenv(figuresFile); file != "" {
		data, err := json.Marshal(measured)
		must(t, err)
		must(t, os.WriteFile(file, data, 0o600))
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// berthLanes are between two machines of a network with security rules and
// services, and from an endpoint to one of them by a service.
func berthLanes(t *testing.T) (insideLane, publicLane lane) {
	t.Helper()
	y := newYard(t)
	alpha := y.world.Networks[0]
	web, free := addr("10.1.1.4"), addr("10.1.5.4")
	return lane{client: y.machines["pod1"], server: y.machines["web1"], to: netip.AddrPortFrom(web, 7000), listen: netip.AddrPortFrom(web, 7000)},
		lane{client: y.fabric.names.endpoint("open"), server: y.machines["pod1"], to: netip.AddrPortFrom(publicOf(t, y, alpha, free), 80), listen: netip.AddrPortFrom(free, 7001)}
}

// publicOf adds a service that leads to a machine.
func publicOf(t *testing.T, y *yard, n network.Network, to netip.Addr) netip.Addr {
	t.Helper()
	address := n.Frontends[0].Address.Next().Next()
	n.Frontends = append(n.Frontends, network.Frontend{Name: "default/speed", Address: address, Rules: []network.Rule{{Protocol: "TCP", Port: 80, NodePort: 7001}}, Backends: []netip.Addr{to}})
	must(t, y.fabric.EnsureNetwork(t.Context(), n))
	return address
}

// handLanes are the same hops: a router between two machines, and a client
// behind an edge before it. One rule translates, where there has to be one.
func handLanes(t *testing.T) (insideLane, publicLane lane) {
	t.Helper()
	one, two, router, edge, client := machine(t), machine(t), machine(t), machine(t), machine(t)
	connect(t, "one", map[string]string{one: "10.1.1.4/24", router: "10.1.1.1/24"})
	connect(t, "two", map[string]string{two: "10.1.5.4/24", router: "10.1.5.1/24"})
	connect(t, "up", map[string]string{router: "10.9.1.2/24", edge: "10.9.1.1/24"})
	connect(t, "out", map[string]string{edge: "10.9.2.1/24", client: "10.9.2.2/24"})
	for namespace, via := range map[string][2]string{one: {"one", "10.1.1.1"}, two: {"two", "10.1.5.1"}, router: {"up", "10.9.1.1"}, edge: {"up", "10.9.1.2"}, client: {"out", "10.9.2.1"}} {
		s := at(t, namespace)
		link, err := s.link(via[0])
		must(t, err)
		must(t, s.rt.RouteAdd(route{to: defaultRoute(), via: addr(via[1])}.on(link.Attrs().Index)))
	}
	forwards(t, router)
	forwards(t, edge)
	conn, err := at(t, router).filter()
	must(t, err)
	defer conn.CloseLasting()
	table := replaceTable(conn, nftables.TableFamilyIPv4, "hand")
	table.rules(table.hook("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, *nftables.ChainPriorityNATDest, nftables.ChainPolicyAccept),
		rule(inPrefix(target(), prefix("10.9.3.1/32")), terms{
			&expr.Immediate{Register: register1, Data: addr("10.1.5.4").AsSlice()},
			&expr.Immediate{Register: 2, Data: []byte{7001 >> 8, 7001 & 0xff}},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: register1, RegProtoMin: 2},
		}))
	must(t, table.commit())
	return lane{client: two, server: one, to: netip.AddrPortFrom(addr("10.1.1.4"), 7000), listen: netip.AddrPortFrom(addr("10.1.1.4"), 7000)},
		lane{client: client, server: two, to: netip.AddrPortFrom(addr("10.9.3.1"), 80), listen: netip.AddrPortFrom(addr("10.1.5.4"), 7001)}
}

// add measures a lane once more.
func (f *figures) add(t *testing.T, l lane) {
	t.Helper()
	var listener net.Listener
	must(t, inside(l.server, func() (err error) {
		listener, err = net.Listen("tcp4", l.listen.String())
		return err
	}))
	defer listener.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			accepted <- conn
		}
	}()
	var client net.Conn
	must(t, inside(l.client, func() (err error) {
		client, err = net.DialTimeout("tcp4", l.to.String(), 5*time.Second)
		return err
	}))
	defer client.Close()
	server := <-accepted
	defer server.Close()
	f.Latency = append(f.Latency, trips(t, client, server))
	before, begun := processor(t), time.Now()
	poured := pour(t, client, server)
	f.Throughput = append(f.Throughput, poured/time.Since(begun).Seconds())
	f.Cost = append(f.Cost, (processor(t)-before)/(poured/1e9))
}

// trips sends single bytes there and back, and tells the 99th percentile.
func trips(t *testing.T, client, server net.Conn) float64 {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := io.CopyN(server, server, roundTrips)
		done <- err
	}()
	var took []float64
	one := make([]byte, 1)
	for range roundTrips {
		begun := time.Now()
		_, writeErr := client.Write(one)
		_, readErr := io.ReadFull(client, one)
		must(t, errors.Join(writeErr, readErr))
		took = append(took, time.Since(begun).Seconds())
	}
	must(t, <-done)
	slices.Sort(took)
	return took[len(took)*99/100]
}

// pour sends for a while and tells how much arrived.
func pour(t *testing.T, client, server net.Conn) float64 {
	t.Helper()
	arrived := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, server) // until the client has closed
		arrived <- n
	}()
	chunk := make([]byte, 256<<10)
	for deadline := time.Now().Add(pouring); time.Now().Before(deadline); {
		_, err := client.Write(chunk)
		must(t, err)
	}
	must(t, client.(*net.TCPConn).CloseWrite())
	return float64(<-arrived)
}

// processor is the processor time of this process, in which the kernel accounts
// what it forwards on its behalf.
func processor(t *testing.T) float64 {
	t.Helper()
	var usage unix.Rusage
	must(t, unix.Getrusage(unix.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
