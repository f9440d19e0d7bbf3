package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/google/nftables"
	mdnetlink "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// netlinkBuffer is room for the messages of one nftables transaction and
// their acknowledgements, in bytes: hundreds of services in one.
const netlinkBuffer = 16 << 20

// dumpAttempts bounds the repetitions of a dump that was disturbed.
const dumpAttempts = 20

// session speaks to one network namespace through sockets that were opened
// in it, so that no call has to enter it.
type session struct {
	file *os.File
	rt   *netlink.Handle
}

// hostNamespace is the host's, which every thread is in that is not lent out by
// onThread. The process itself stands for its main thread, and that can be.
const hostNamespace = threadNamespace

// openHost opens a session with the host's own namespace.
func openHost() (*session, error) {
	return open(hostNamespace)
}

// open opens a session with the namespace at a path; network.ErrNotFound if
// none is there.
func open(path string) (*session, error) {
	ok, err := isNamespace(path)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if !ok || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		file.Close() // a nil file says so, and nothing else
		return nil, fmt.Errorf("namespace %s: %w", path, network.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("opening namespace %s: %w", path, err)
	}
	s := &session{file: file}
	if err := inNamespace(file, func() (err error) {
		s.rt, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	}); err != nil {
		file.Close()
		return nil, fmt.Errorf("opening a netlink socket in %s: %w", path, err)
	}
	return s, nil
}

// is says whether the session's namespace is the one at a path.
func (s *session) is(path string) (bool, error) {
	own, err := s.file.Stat()
	if err != nil {
		return false, fmt.Errorf("looking at namespace %s: %w", s.file.Name(), err)
	}
	other, err := os.Stat(path)
	if err != nil {
		return false, fmt.Errorf("looking at namespace %s: %w", path, err)
	}
	return os.SameFile(own, other), nil
}

func (s *session) close() {
	s.rt.Close()
	s.file.Close()
}

// filter opens a connection to the namespace's nftables; the caller closes it.
func (s *session) filter() (*nftables.Conn, error) {
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithNetNSFd(int(s.file.Fd())),
		nftables.WithSockOptions(func(c *mdnetlink.Conn) error {
			return errors.Join(c.SetWriteBuffer(netlinkBuffer), c.SetReadBuffer(netlinkBuffer))
		}))
	if err != nil {
		return nil, fmt.Errorf("opening nftables: %w", err)
	}
	return conn, nil
}

// link finds a link by name; nil if there is none.
func (s *session) link(name string) (netlink.Link, error) {
	link, err := s.rt.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for link %s: %w", name, err)
	}
	return link, nil
}

// links lists all links.
func (s *session) links() ([]netlink.Link, error) {
	return dump("links", s.rt.LinkList)
}

// removeLink removes a link and its peer; nil if there is none of the name.
func (s *session) removeLink(name string) error {
	link, err := s.link(name)
	if link == nil {
		return err
	}
	if err := s.rt.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("removing link %s: %w", name, err)
	}
	return nil
}

// up sets a link up.
func (s *session) up(link netlink.Link) error {
	if link.Attrs().Flags&net.FlagUp != 0 {
		return nil
	}
	if err := s.rt.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting link %s up: %w", link.Attrs().Name, err)
	}
	return nil
}

// loopback is the namespace's lo, up.
func (s *session) loopback() (netlink.Link, error) {
	lo, err := s.rt.LinkByName("lo")
	if err != nil {
		return nil, fmt.Errorf("looking for link lo: %w", err)
	}
	return lo, s.up(lo)
}

// address is one address of a link, always a /32. One of link scope is never
// chosen as a source address.
type address struct {
	netip.Addr
	linkScope bool
}

// addresses lists the IPv4 addresses of a link, or of all for nil, but 127.0.0.0/8.
func (s *session) addresses(link netlink.Link) ([]netlink.Addr, error) {
	list, err := dump("addresses", func() ([]netlink.Addr, error) { return s.rt.AddrList(link, netlink.FAMILY_V4) })
	return slices.DeleteFunc(list, func(a netlink.Addr) bool { return a.IP.IsLoopback() }), err
}

// ensureAddresses gives a link exactly these addresses, beside 127.0.0.0/8.
func (s *session) ensureAddresses(link netlink.Link, want ...address) error {
	have, err := s.addresses(link)
	if err != nil {
		return err
	}
	present := map[netip.Addr]bool{}
	for _, a := range have {
		ip, _ := netip.AddrFromSlice(a.IP.To4())
		ones, _ := a.Mask.Size()
		i := slices.IndexFunc(want, func(w address) bool { return w.Addr == ip })
		if i >= 0 && ones == 32 && (a.Scope == unix.RT_SCOPE_LINK) == want[i].linkScope {
			present[ip] = true
			continue
		}
		if err := s.rt.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("removing address %s of link %s: %w", ip, link.Attrs().Name, err)
		}
	}
	for _, w := range want {
		if present[w.Addr] {
			continue
		}
		a := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(w.Addr, 32))}
		if w.linkScope {
			a.Scope = unix.RT_SCOPE_LINK
		}
		if err := s.rt.AddrAdd(link, a); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("adding address %s to link %s: %w", w.Addr, link.Attrs().Name, err)
		}
	}
	return nil
}

// dump repeats a listing that the kernel calls inconsistent, because
// something changed under it.
func dump[T any](what string, list func() ([]T, error)) ([]T, error) {
	for attempt := 1; ; attempt++ {
		items, err := list()
		if err == nil {
			return items, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) || attempt == dumpAttempts {
			return nil, fmt.Errorf("listing %s: %w", what, err)
		}
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}
