package bootstrap

import (
	"net/netip"

	"berth.dev/berth/internal/network"
)

// podLinkPrefix starts the names of a node's links to its pods: the plugin ptp's.
const podLinkPrefix = "veth"

// cniConfig routes to each pod over a link of its own. Nothing is masqueraded
// here: the virtual network routes pods' addresses. Leases lie on a tmpfs:
// when the machine starts anew, no pod has an address.
func (n Node) cniConfig() object {
	return object{
		"cniVersion": "1.0.0",
		"name":       "berth",
		"plugins": []object{
			{
				"type":   "ptp",
				"ipMasq": false,
				"ipam": object{
					"type":    "host-local",
					"dataDir": "/run/cni/networks",
					"ranges":  [][]object{n.podRanges()},
					"routes":  []object{{"dst": "0.0.0.0/0"}},
				},
			},
			{"type": "portmap", "backend": "nftables", "capabilities": object{"portMappings": true}},
		},
	}
}

// podRanges are the ranges that pods get addresses of: the node's own, or what
// the node has of a subnet, each row of addresses as one range. Their gateway is
// then an address that nobody in the subnet has: its first one is the node's own
// gateway, which the node must not take for itself.
func (n Node) podRanges() []object {
	if len(n.PodAddresses) == 0 {
		return []object{{"subnet": n.PodCIDR.String()}}
	}
	gateway := network.PodGateway(n.PodSubnet).String()
	var ranges []object
	var last netip.Addr
	for _, address := range n.PodAddresses {
		if last.IsValid() && address == last.Next() {
			ranges[len(ranges)-1]["rangeEnd"] = address.String()
		} else {
			ranges = append(ranges, object{
				"subnet": n.PodSubnet.String(), "gateway": gateway, "rangeStart": address.String(), "rangeEnd": address.String(),
			})
		}
		last = address
	}
	return ranges
}
