package linux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// carrierPatience bounds the wait for a link. The kernel takes below a
// millisecond, and up to a second if it is in no hurry.
const carrierPatience = 5 * time.Second

// linkMTU is the MTU of every link.
const linkMTU = 1500

// pair is a link with one end in each of two namespaces. A pair is made and
// named at both ends by one message, so no crash leaves half of one.
type pair struct {
	near     *session
	nearName string
	far      *session
	farName  string
	// group marks the near end from the moment it is made.
	group uint32
	// hardware is the hardware address of the far end, where its namespace is
	// not this package's own: a link of the far name that has no such address is
	// someone else's and a conflict, any other is replaced.
	hardware net.HardwareAddr
}

// ensure makes the pair, or finds it. An end whose other end lies in another
// namespace than the far one, as after the restart of a machine, is made anew:
// a link is known by where its other end is, not by its name.
func (p pair) ensure() (near, far netlink.Link, err error) {
	near, far, err = p.find()
	if err != nil || far != nil {
		return near, far, err
	}
	if near != nil {
		if err := p.near.removeLink(p.nearName); err != nil {
			return nil, nil, err
		}
	}
	if err := p.clearFar(); err != nil {
		return nil, nil, err
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MTU, attributes.Group = p.nearName, linkMTU, p.group
	veth := &netlink.Veth{LinkAttrs: attributes, PeerName: p.farName, PeerHardwareAddr: p.hardware, PeerNamespace: netlink.NsFd(int(p.far.file.Fd()))}
	if err := p.near.rt.LinkAdd(veth); err != nil {
		return nil, nil, fmt.Errorf("making link %s: %w", p.nearName, err)
	}
	near, far, err = p.find()
	if err == nil && far == nil {
		err = fmt.Errorf("making link %s: it vanished at once", p.nearName)
	}
	return near, far, err
}

// connect sets both ends up and waits until both carry packets. An end that
// is only up drops what it is to send, such as its answer to an ARP request,
// which is not asked again for a second.
func (p pair) connect(ctx context.Context, near, far netlink.Link) error {
	if err := errors.Join(p.far.up(far), p.near.up(near)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, carrierPatience)
	defer cancel()
	if err := p.far.awaitCarrier(ctx, far); err != nil {
		return err
	}
	return p.near.awaitCarrier(ctx, near)
}

// awaitCarrier waits until the kernel has put a link into operation.
func (s *session) awaitCarrier(ctx context.Context, link netlink.Link) error {
	if ok, err := s.operational(link); ok || err != nil {
		return err
	}
	changes, done := make(chan netlink.LinkUpdate), make(chan struct{})
	if err := inNamespace(s.file, func() error { return netlink.LinkSubscribe(changes, done) }); err != nil {
		close(done)
		return fmt.Errorf("watching link %s: %w", link.Attrs().Name, err)
	}
	defer func() { // the subscription ends with its channel, which has to be read until then
		close(done)
		for range changes { //nolint:revive // there is nothing to do but to read
		}
	}()
	for {
		if ok, err := s.operational(link); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for link %s to carry packets: %w", link.Attrs().Name, ctx.Err())
		case _, open := <-changes:
			if !open {
				return fmt.Errorf("watching link %s: the subscription ended", link.Attrs().Name)
			}
		}
	}
}

func (s *session) operational(link netlink.Link) (bool, error) {
	now, err := s.rt.LinkByIndex(link.Attrs().Index)
	if err != nil {
		return false, fmt.Errorf("looking at link %s: %w", link.Attrs().Name, err)
	}
	return now.Attrs().OperState == netlink.OperUp, nil
}

// find looks for the near end, and for the far end if it is where it belongs.
func (p pair) find() (near, far netlink.Link, err error) {
	near, err = p.near.link(p.nearName)
	if near == nil || err != nil {
		return nil, nil, err
	}
	if near.Type() != "veth" {
		return near, nil, nil
	}
	// An id of -1 is a namespace that has none yet, so it is no link's peer.
	id, err := p.near.rt.GetNetNsIdByFd(int(p.far.file.Fd()))
	if err != nil {
		return nil, nil, fmt.Errorf("identifying namespace %s: %w", p.far.file.Name(), err)
	}
	if id < 0 || id != near.Attrs().NetNsID {
		return near, nil, nil
	}
	far, err = p.far.rt.LinkByIndex(near.Attrs().ParentIndex)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return near, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("looking for the far end of link %s: %w", p.nearName, err)
	}
	if far.Type() != "veth" || far.Attrs().ParentIndex != near.Attrs().Index || far.Attrs().Name != p.farName {
		return near, nil, nil
	}
	return near, far, nil
}

// clearFar makes room for the far name. What is in the way is most often the
// end of a former pair, whose other end the kernel is still removing.
func (p pair) clearFar() error {
	stranger, err := p.far.link(p.farName)
	if stranger == nil || err != nil {
		return err
	}
	if p.hardware != nil && !(stranger.Type() == "veth" && isPortHardware(stranger.Attrs().HardwareAddr)) {
		return fmt.Errorf("making link %s: namespace %s already has a link %s that belongs to something else; remove it there: %w",
			p.nearName, p.far.file.Name(), p.farName, network.ErrConflict)
	}
	if err := p.far.rt.LinkDel(stranger); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("removing link %s from namespace %s: %w", p.farName, p.far.file.Name(), err)
	}
	return nil
}
