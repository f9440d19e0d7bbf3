package linux

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	mdnetlink "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// balanceTable is the nftables table that balances in a router's namespace.
//
// It is never made anew: everything in it that has content is named by its
// content, so that what is there already need not be written, and one look at
// the names tells what is missing and what is left over. A new endpoint costs
// one chain of one service, whatever the number of services; clients keep the
// backends they stick to, and counters go on.
//
//	insiders    the network's own ranges
//	frontends   all frontend addresses: what has no service is answered with a reset
//	services    address, protocol and port to the chain of a service
//	by-…        chain of one port of a service: who may, how long, and to which backend
//	to-…        map from a number to a backend, for all services with the same backends
//	in-…        the same backends as a set
//	only-…      set of ranges that may connect
//	stick-…     map from client to backend, of one service, that the kernel fills
//	idle-…      timeouts of tracked connections
//	connections-… how many connections a service got
const balanceTable = "berth-balance"

// The first letters of names by content.
const (
	chainPrefix    = "by-"
	rotationPrefix = "to-"
	membersPrefix  = "in-"
	rangesPrefix   = "only-"
	stickPrefix    = "stick-"
	counterPrefix  = "connections-"
	idlePrefix     = "idle-"
)

// The names of what is there once.
const (
	frontendsSet = "frontends"
	servicesMap  = "services"
	insidersSet  = "insiders"
)

// serviceChain is the content of the chain of one port of a service.
type serviceChain struct {
	Service  service
	NodePort uint16
	Internal bool
	Silent   bool
	Backends int
	Idle     time.Duration
	// The names of what it refers to; empty for none.
	Rotation, Members, Ranges, Stick, Counter string
}

// timeout names the timeouts of the service's connections.
func (c serviceChain) timeout() string {
	return fmt.Sprintf("%s%s-%d", idlePrefix, protocolName(c.Service.protocol), c.Idle/time.Second)
}

// name is made of the content.
func (c serviceChain) name() string {
	return named(fmt.Sprintf("%s%s-%s-%d-", chainPrefix, protocolName(c.Service.protocol), c.Service.address, c.Service.port), c)
}

// balance is what a balance table should hold.
type balance struct {
	// gateway is the address that those inside get towards services: their
	// answers could miss the router.
	gateway   netip.Addr
	inside    []netip.Prefix
	frontends map[netip.Addr]bool
	services  map[service]serviceChain
	rotations map[string][]netip.Addr
	ranges    map[string][]netip.Prefix
	sticks    map[string]time.Duration
	// objects are the names of counters and timeouts.
	objects map[string]bool
}

// newBalance plans the table of a network. A service without backends has no
// chain, only its address.
func newBalance(n network.Network) balance {
	b := balance{
		inside: n.Space(), frontends: map[netip.Addr]bool{}, services: map[service]serviceChain{}, rotations: map[string][]netip.Addr{},
		ranges: map[string][]netip.Prefix{}, sticks: map[string]time.Duration{}, objects: map[string]bool{},
	}
	if gateways := n.Gateways(); len(gateways) > 0 { // without a subnet there is nobody inside
		b.gateway = gateways[0]
	}
	for _, frontend := range n.Frontends {
		b.frontends[frontend.Address] = true
		if rotation := n.Rotation(frontend); len(rotation) > 0 {
			b.add(frontend, rotation)
		}
	}
	return b
}

func (b balance) add(frontend network.Frontend, rotation []netip.Addr) {
	slices.SortFunc(rotation, netip.Addr.Compare)
	chain := serviceChain{
		Internal: frontend.Internal, Silent: frontend.SilentOnIdle, Backends: len(rotation), Idle: frontend.IdleTimeout,
		Rotation: named(rotationPrefix, rotation), Counter: counterPrefix + owner(frontend),
	}
	if chain.Idle == 0 {
		chain.Idle = network.DefaultIdleTimeout
	}
	b.rotations[chain.Rotation], b.objects[chain.Counter] = rotation, true
	if len(frontend.SourceRanges) > 0 {
		allowed := network.Disjoint(frontend.SourceRanges)
		chain.Ranges = named(rangesPrefix, allowed)
		b.ranges[chain.Ranges] = allowed
	}
	if frontend.Affinity > 0 {
		chain.Stick = named(stickPrefix, []any{owner(frontend), frontend.Address, frontend.Affinity})
		chain.Members = membersPrefix + strings.TrimPrefix(chain.Rotation, rotationPrefix)
		b.sticks[chain.Stick], b.rotations[chain.Members] = frontend.Affinity, rotation
	}
	for _, r := range frontend.Rules {
		chain.Service = service{frontend.Address, protocolNumber(r.Protocol), r.Port}
		chain.NodePort = r.NodePort
		b.services[chain.Service], b.objects[chain.timeout()] = chain, true
	}
}

// owner names a frontend in counters.
func owner(frontend network.Frontend) string {
	if frontend.Name == "" {
		return frontend.Address.String()
	}
	return frontend.Name
}

// named is a prefix and a digest of a content.
func named(prefix string, content any) string {
	text, err := json.Marshal(content)
	if err != nil {
		text = fmt.Append(nil, content) // nothing of the plan fails; a name it needs all the same
	}
	sum := sha256.Sum256(text)
	return prefix + hex.EncodeToString(sum[:8])
}

// writeBalance brings the balance table of a router in line with a network:
// in one transaction what is missing is added and the services point to it,
// in a second one goes what nothing points to any more.
func (f *Fabric) writeBalance(router *session, n network.Network) error {
	conn, err := router.filter()
	if err != nil {
		return err
	}
	defer conn.CloseLasting()
	f.timeouts.Lock() // the library keeps timeouts in a variable of its own
	defer f.timeouts.Unlock()
	want := newBalance(n)
	have, err := readBalance(conn)
	if err != nil {
		return fmt.Errorf("reading nftables table %s: %w", balanceTable, err)
	}
	t := &transaction{conn: conn, table: &nftables.Table{Family: nftables.TableFamilyIPv4, Name: balanceTable}}
	if have.skeleton != want.skeleton() {
		conn.AddTable(t.table) // so that deleting it cannot fail
		conn.DelTable(t.table)
		conn.AddTable(t.table)
		have = present{services: map[service]string{}, frontends: map[netip.Addr]bool{}}
		t.writeSkeleton(want)
	}
	t.addContent(want, have)
	if err := t.commit(); err != nil {
		return err
	}
	return sweepBalance(conn, want, have)
}

// sweepBalance removes what was there before and nothing points to any more.
func sweepBalance(conn *nftables.Conn, want balance, have present) error {
	t := &transaction{conn: conn, table: &nftables.Table{Family: nftables.TableFamilyIPv4, Name: balanceTable}}
	wanted := map[string]bool{}
	for _, chain := range want.services {
		wanted[chain.name()] = true
	}
	for _, name := range have.chains {
		if !wanted[name] {
			conn.DelChain(&nftables.Chain{Table: t.table, Name: name})
		}
	}
	for _, name := range have.sets {
		_, rotation := want.rotations[name]
		_, ranges := want.ranges[name]
		_, stick := want.sticks[name]
		if !rotation && !ranges && !stick {
			conn.DelSet(&nftables.Set{Table: t.table, Name: name})
		}
	}
	for name, kind := range have.objects {
		if !want.objects[name] {
			conn.DeleteObject(&nftables.NamedObj{Table: t.table, Name: name, Type: kind, Obj: &expr.Counter{}})
		}
	}
	return t.commit()
}

// present is what a balance table holds.
type present struct {
	// skeleton is that of its chains at hooks; empty if there is no table.
	skeleton     string
	chains, sets []string
	objects      map[string]nftables.ObjType
	services     map[service]string
	frontends    map[netip.Addr]bool
}

// readBalance reads a balance table by its names.
func readBalance(conn *nftables.Conn) (present, error) {
	found := present{objects: map[string]nftables.ObjType{}, services: map[service]string{}, frontends: map[netip.Addr]bool{}}
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: balanceTable}
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return present{}, err
	}
	for _, chain := range chains {
		switch {
		case chain.Table.Name != balanceTable:
		case strings.HasPrefix(chain.Name, chainPrefix):
			found.chains = append(found.chains, chain.Name)
		case strings.HasPrefix(chain.Name, skeletonPrefix) && chain.Type == nftables.ChainTypeNAT && *chain.Hooknum == *nftables.ChainHookPrerouting:
			found.skeleton = chain.Name
		}
	}
	if found.skeleton == "" {
		return found, nil
	}
	sets, err := conn.GetSets(table)
	if err != nil {
		return present{}, err
	}
	for _, set := range sets {
		if set.Name == insidersSet {
			continue
		}
		if set.Name != frontendsSet && set.Name != servicesMap {
			found.sets = append(found.sets, set.Name)
			continue
		}
		elements, err := conn.GetSetElements(set)
		if err != nil {
			return present{}, err
		}
		found.read(set.Name, elements)
	}
	objects, err := conn.GetNamedObjects(table)
	for _, object := range objects {
		if named, ok := object.(*nftables.NamedObj); ok {
			found.objects[named.Name] = named.Type
		}
	}
	return found, err
}

func (p present) read(set string, elements []nftables.SetElement) {
	for _, element := range elements {
		address, ok := netip.AddrFromSlice(element.Key[:min(4, len(element.Key))])
		switch {
		case !ok:
		case set == frontendsSet:
			p.frontends[address] = true
		case len(element.Key) >= 10:
			port := uint16(element.Key[8])<<8 | uint16(element.Key[9])
			p.services[service{address, element.Key[4], port}] = verdictChain(element.Val)
		}
	}
}

// verdictChain is the chain of a verdict, which the library leaves encoded.
func verdictChain(verdict []byte) string {
	attributes, err := mdnetlink.NewAttributeDecoder(verdict)
	if err != nil {
		return ""
	}
	for attributes.Next() {
		if attributes.Type() == unix.NFTA_VERDICT_CHAIN {
			return attributes.String()
		}
	}
	return ""
}

// difference is what of a is not in b.
func difference[K comparable](a, b map[K]bool) []K {
	var missing []K
	for k := range maps.Keys(a) {
		if !b[k] {
			missing = append(missing, k)
		}
	}
	return missing
}
