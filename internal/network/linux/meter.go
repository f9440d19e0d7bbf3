package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

var _ network.Meter = (*Fabric)(nil)

// maxListedFlows bounds the flows that are looked at to tell how the source
// ports are used; in a fuller table only their number is told.
const maxListedFlows = 50000

// Measure implements network.Meter.
func (f *Fabric) Measure(ctx context.Context) ([]network.Usage, error) {
	_, networks, err := f.List(ctx)
	if err != nil {
		return nil, err
	}
	var all []network.Usage
	for _, id := range networks {
		usage, measureErr := f.measure(id)
		if errors.Is(measureErr, network.ErrNotFound) {
			continue // it was deleted meanwhile
		}
		if measureErr != nil {
			err = errors.Join(err, fmt.Errorf("measuring network %s: %w", id, measureErr))
			continue
		}
		all = append(all, usage)
	}
	return all, err
}

func (f *Fabric) measure(id string) (network.Usage, error) {
	usage := network.Usage{Network: id}
	router, err := open(f.names.router(id))
	if err != nil {
		return usage, err
	}
	defer router.close()
	conn, err := router.filter()
	if err != nil {
		return usage, err
	}
	defer conn.CloseLasting()
	rules, err := counted(conn, &nftables.Table{Family: nftables.TableFamilyIPv4, Name: routerTable})
	if err != nil {
		return usage, err
	}
	for name, counter := range rules {
		const parts = 4
		if p := strings.Split(name, counterSeparator); len(p) == parts {
			usage.Rules = append(usage.Rules, network.RuleUsage{Direction: network.Direction(p[1]), Subnet: p[2], Rule: p[3], Connections: counter.Packets})
		}
	}
	f.timeouts.Lock() // there are timeouts among the objects
	services, err := counted(conn, &nftables.Table{Family: nftables.TableFamilyIPv4, Name: balanceTable})
	f.timeouts.Unlock()
	if err != nil {
		return usage, err
	}
	for name, counter := range services {
		if owner, ok := strings.CutPrefix(name, counterPrefix); ok {
			usage.Services = append(usage.Services, network.ServiceUsage{Name: owner, Connections: counter.Packets})
		}
	}
	if err := inNamespace(router.file, func() error { return readTracking(&usage) }); err != nil {
		return usage, err
	}
	n, known := f.programmed.desired(id)
	if !known {
		return usage, nil
	}
	if usage.Nodes, err = f.nodes(n); err != nil {
		return usage, err
	}
	if usage.Tracked <= maxListedFlows {
		usage.Shares, err = router.shares(n)
	}
	return usage, err
}

// nodes says how the machines stand that a network's balancers send to.
func (f *Fabric) nodes(n network.Network) ([]network.NodeUsage, error) {
	forwarding, err := f.health.Forwarding(n.ID)
	if err != nil {
		return nil, err
	}
	var all []network.NodeUsage
	for address, forwards := range forwarding {
		if port, ok := n.PortOf(address); ok {
			all = append(all, network.NodeUsage{Port: port.ID, Forwards: forwards})
		}
	}
	slices.SortFunc(all, func(a, b network.NodeUsage) int { return strings.Compare(a.Port, b.Port) })
	return all, nil
}

// readTracking reads what the calling thread's namespace says of its
// connection tracking.
func readTracking(usage *network.Usage) error {
	for name, into := range map[string]*uint64{"count": &usage.Tracked, "max": &usage.TrackedLimit} {
		text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_" + name)
		if err != nil {
			return fmt.Errorf("reading the connection tracking: %w", err)
		}
		if *into, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err != nil {
			return fmt.Errorf("reading the connection tracking: %w", err)
		}
	}
	table, err := os.ReadFile("/proc/thread-self/net/stat/nf_conntrack")
	if err != nil {
		return fmt.Errorf("reading the connection tracking: %w", err)
	}
	var names []string
	for line := range strings.Lines(string(table)) { // one for each processor, below their names
		fields := strings.Fields(line)
		if names == nil {
			names = fields
			continue
		}
		for i, field := range fields {
			const hexadecimal, bits = 16, 64
			value, err := strconv.ParseUint(field, hexadecimal, bits)
			switch {
			case err != nil || i >= len(names):
				return fmt.Errorf("reading the connection tracking: %q is no number of it", field)
			case names[i] == "insert_failed" || names[i] == "drop":
				usage.Rejected += value
			case names[i] == "early_drop":
				usage.Evicted += value
			}
		}
	}
	return nil
}

// shares counts the flows that leave with each machine's share of an outbound address.
func (s *session) shares(n network.Network) ([]network.ShareUsage, error) {
	var flows []*netlink.ConntrackFlow
	if err := inNamespace(s.file, func() (err error) {
		flows, err = dump("tracked flows", func() ([]*netlink.ConntrackFlow, error) {
			return netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
		})
		return err
	}); err != nil {
		return nil, err
	}
	sources := map[netip.Addr]uint64{}
	for _, flow := range flows {
		if source := fromIP(flow.Forward.SrcIP); source != fromIP(flow.Reverse.DstIP) {
			sources[source]++
		}
	}
	all := shares(n)
	used := map[string]uint64{}
	for source, count := range sources {
		if port, ok := n.PortOf(source); ok {
			used[port.ID] += count
		}
	}
	var out []network.ShareUsage
	for id, share := range all {
		out = append(out, network.ShareUsage{Port: id, Used: used[id], Limit: uint64(share.last-share.first) + 1})
	}
	slices.SortFunc(out, func(a, b network.ShareUsage) int { return strings.Compare(a.Port, b.Port) })
	return out, nil
}
