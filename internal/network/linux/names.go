package linux

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"net"
	"regexp"
	"strings"
)

// namespaceDir is where named network namespaces lie, as ip-netns(8) has it.
const namespaceDir = "/run/netns"

// The names of links that lie in a namespace of this package. The names of a
// network's and an endpoint's links in the edge, and of a port's link in its
// router, are one letter and the incarnation.
const (
	// hostLink is the edge's end of the host's link.
	hostLink = "host"
	// uplink is a router's end of its link to the edge.
	uplink = "edge"
	// machineLink is the far end of a port or an endpoint.
	machineLink = "eth0"

	networkPrefix  = "n"
	endpointPrefix = "e"
	portPrefix     = "p"
)

// routerTable is the nftables table in a router's namespace.
const routerTable = "berth"

// names derives every name of one instance.
type names struct {
	instance string
}

func (n names) validate() error {
	if !regexp.MustCompile(`^[a-z0-9]{1,10}$`).MatchString(n.instance) {
		return fmt.Errorf("instance %q is not 1 to 10 letters and digits, as names of links need it", n.instance)
	}
	return nil
}

// hostLink is the host's link to the edge.
func (n names) hostLink() string { return "berth" + n.instance }

// hostTable is the nftables table on the host.
func (n names) hostTable() string { return "berth-" + n.instance }

func (n names) edge() string                  { return n.path("edge") }
func (n names) endpoint(id string) string     { return n.path("cp-" + id) }
func (n names) router(id string) string       { return n.path("vnet-" + id) }
func (n names) path(rest string) string       { return namespaceDir + "/" + n.prefix() + rest }
func (n names) prefix() string                { return "berth-" + n.instance + "-" }
func (n names) networkLink(id string) string  { return networkPrefix + id }
func (n names) endpointLink(id string) string { return endpointPrefix + id }
func (n names) portLink(id string) string     { return portPrefix + id }

// endpointID is the id in the name of an endpoint's namespace.
func (n names) endpointID(file string) (string, bool) {
	return strings.CutPrefix(file, n.prefix()+"cp-")
}

// networkID is the id in the name of a router's namespace.
func (n names) networkID(file string) (string, bool) {
	return strings.CutPrefix(file, n.prefix()+"vnet-")
}

// portHardware is the hardware address of a port's far end, the same for
// every link that the port ever has.
func portHardware(id string) net.HardwareAddr {
	hash := fnv.New32a()
	hash.Write([]byte(id))
	return append(hardwarePrefix(), hash.Sum(nil)[1:]...)
}

// isPortHardware says whether a hardware address is one of portHardware.
func isPortHardware(address net.HardwareAddr) bool {
	return bytes.HasPrefix(address, hardwarePrefix())
}

// hardwarePrefix is that of locally administered addresses, and two letters.
func hardwarePrefix() net.HardwareAddr { return net.HardwareAddr{0x02, 'b', 'e'} }

// mark tells what on the host is this instance's where there is no name to
// carry it: the group of the host's link, the metric of the blackhole route.
// It is given when the thing is made, so that no crash leaves one unmarked.
func (n names) mark() uint32 {
	hash := fnv.New32a()
	hash.Write([]byte(n.instance))
	return 'B'<<24 | hash.Sum32()&0xffffff
}
