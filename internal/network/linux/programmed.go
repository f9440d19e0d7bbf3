package linux

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	mdnetlink "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// programmed is what each network was last programmed with, so that what has
// not changed is not written again. Forgetting it costs one writing.
type programmed struct {
	mu   sync.Mutex
	last map[string]record
}

// record is the network as it was asked for, and the generation of the packet
// filter of its router after that.
type record struct {
	desired    network.Network
	digest     [sha256.Size]byte
	generation uint32
}

func newProgrammed() *programmed { return &programmed{last: map[string]record{}} }

// current says whether a network was programmed just so and nobody has changed
// the packet filter since.
func (p *programmed) current(n network.Network, generation uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, known := p.last[n.ID]
	return known && last.generation == generation && last.digest == digest(n)
}

// desired is the network as it was last asked for.
func (p *programmed) desired(id string) (network.Network, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, known := p.last[id]
	return last.desired, known
}

func (p *programmed) remember(n network.Network, generation uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[n.ID] = record{desired: n.Clone(), digest: digest(n), generation: generation}
}

func (p *programmed) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, id)
}

func digest(n network.Network) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%+v", n))
}

// nfgenmsg is the size of the header of netfilter messages.
const nfgenmsg = 4

// generation is the number that the kernel gives to the packet filter of a
// namespace, another one after every change.
func (s *session) generation() (uint32, error) {
	conn, err := mdnetlink.Dial(unix.NETLINK_NETFILTER, &mdnetlink.Config{NetNS: int(s.file.Fd())})
	if err != nil {
		return 0, fmt.Errorf("asking for the generation of the packet filter: %w", err)
	}
	defer conn.Close()
	answers, err := conn.Execute(mdnetlink.Message{
		Header: mdnetlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: mdnetlink.Request},
		Data:   make([]byte, nfgenmsg),
	})
	if err != nil {
		return 0, fmt.Errorf("asking for the generation of the packet filter: %w", err)
	}
	for _, answer := range answers {
		if len(answer.Data) < nfgenmsg {
			continue
		}
		attributes, err := mdnetlink.NewAttributeDecoder(answer.Data[nfgenmsg:])
		if err != nil {
			return 0, fmt.Errorf("reading the generation of the packet filter: %w", err)
		}
		attributes.ByteOrder = binary.BigEndian
		for attributes.Next() {
			if attributes.Type() == unix.NFTA_GEN_ID {
				return attributes.Uint32(), attributes.Err()
			}
		}
	}
	return 0, errors.New("asking for the generation of the packet filter: the kernel did not say")
}
