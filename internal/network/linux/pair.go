package linux

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

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
	// keepFar is set where a link of the far name may be someone else's; it is
	// then a conflict, and otherwise replaced.
	keepFar bool
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
	veth := &netlink.Veth{LinkAttrs: attributes, PeerName: p.farName, PeerNamespace: netlink.NsFd(int(p.far.file.Fd()))}
	if err := p.near.rt.LinkAdd(veth); err != nil {
		return nil, nil, fmt.Errorf("making link %s: %w", p.nearName, err)
	}
	near, far, err = p.find()
	if err == nil && far == nil {
		err = fmt.Errorf("making link %s: it vanished at once", p.nearName)
	}
	return near, far, err
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

// clearFar makes room for the far name.
func (p pair) clearFar() error {
	stranger, err := p.far.link(p.farName)
	if stranger == nil || err != nil {
		return err
	}
	if p.keepFar {
		return fmt.Errorf("making link %s: namespace %s already has a link %s that belongs to something else; remove it there: %w",
			p.nearName, p.far.file.Name(), p.farName, network.ErrConflict)
	}
	if err := p.far.rt.LinkDel(stranger); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("removing link %s from namespace %s: %w", p.farName, p.far.file.Name(), err)
	}
	return nil
}
