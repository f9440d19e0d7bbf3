package containerservice

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/containerservice/addressplan"
	"berth.dev/berth/internal/rp/nodegroup"
)

// The types of what outbound traffic can leave with, and what a caller has to be
// allowed to on it.
const (
	publicAddresses = "publicIPAddresses"
	publicPrefixes  = "publicIPPrefixes"
	joinVerb        = "/join/action"
)

// portsPerAddress is how many source ports a public address has.
const portsPerAddress = 64000

const balancerPath = networkPath + "loadBalancerProfile."

// convertOutbound sets the public addresses that traffic leaves with. One way of
// naming them takes the place of another.
func convertOutbound(d *draft, request *balancerRequest) {
	if request == nil {
		return
	}
	outbound := &d.next.Spec.Outbound
	addresses, prefixes := ids(request.OutboundIPs.PublicIPs), ids(request.OutboundIPPrefixes.PublicIPPrefixes)
	switch {
	case len(addresses) > 0:
		outbound.ManagedCount, outbound.PublicIPIDs, outbound.PublicIPPrefixIDs = 0, addresses, nil
	case len(prefixes) > 0:
		outbound.ManagedCount, outbound.PublicIPIDs, outbound.PublicIPPrefixIDs = 0, nil, prefixes
	case request.ManagedOutboundIPs.Count != nil:
		outbound.ManagedCount, outbound.PublicIPIDs, outbound.PublicIPPrefixIDs = *request.ManagedOutboundIPs.Count, nil, nil
		if outbound.ManagedCount == 1 { // as if nobody had said so
			outbound.ManagedCount = 0
		}
	}
	if request.AllocatedOutboundPorts != nil {
		outbound.PortsPerNode = *request.AllocatedOutboundPorts
	}
}

func ids(requests []idRequest) []string {
	var list []string
	for _, request := range requests {
		list = append(list, request.ID)
	}
	return list
}

// admitOutbound looks whether the addresses that a body names are there and free,
// and whether they have as many ports as the nodes shall have.
func (p *Provider) admitOutbound(r *arm.Request, d *draft, known facts) error {
	outbound := d.next.Spec.Outbound
	var before containerservicev1alpha1.OutboundProfile
	if d.old != nil {
		before = d.old.Spec.Outbound
	}
	addresses := outbound.Managed()
	for _, named := range []struct {
		list, before    []string
		kind, path, one string
	}{
		{outbound.PublicIPIDs, before.PublicIPIDs, publicAddresses, "outboundIPs.publicIPs", "public address"},
		{outbound.PublicIPPrefixIDs, before.PublicIPPrefixIDs, publicPrefixes, "outboundIPPrefixes.publicIPPrefixes", "public prefix"},
	} {
		for i, id := range named.list {
			path := d.body.Path(balancerPath + named.path)
			reservation, err := p.reservation(r, id, named.kind, named.before)
			switch {
			case err != nil:
				return err
			case reservation == nil:
				d.fields.Invalid(path, "The %s '%.300s' was not found.", named.one, id)
				continue
			case slices.ContainsFunc(named.list[:i], func(other string) bool { return strings.EqualFold(other, id) }):
				d.fields.Invalid(path, "The %s '%.300s' is named twice.", named.one, id)
			}
			if user := outboundUser(d, known, id); user != "" {
				d.fields.Add("PublicIPInUse", path, "The %s '%.300s' is what traffic of the managed cluster '%s' leaves with. Name another one, or change that cluster first.", named.one, id, user)
			}
			addresses += 1 << (32 - reservation.Spec.Bits)
		}
	}
	d.checkPorts(addresses)
	return nil
}

// reservation is what an id names, if the caller may use it; nil if it is not
// there. What the cluster has already was allowed to whoever gave it.
func (p *Provider) reservation(r *arm.Request, text, kind string, before []string) (*networkv1.AddressReservation, error) {
	id, err := arm.ParseResourceID(text)
	if err != nil || !strings.EqualFold(id.Type(), networkNamespace+"/"+kind) {
		return nil, nil //nolint:nilerr // there is none of that id
	}
	if !slices.ContainsFunc(before, func(old string) bool { return strings.EqualFold(old, text) }) {
		if err := p.mayJoin(r, networkNamespace+"/"+kind+joinVerb, id.String()); err != nil {
			return nil, err
		}
	}
	var found networkv1.AddressReservation
	err = p.Client.Get(r.Context(), client.ObjectKey{Name: naming.Object(id.String())}, &found)
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	if err != nil || found.DeletionTimestamp != nil {
		return nil, nil //nolint:nilerr // not found is no error here
	}
	return &found, nil
}

// mayJoin refuses a caller who may not use something of the network.
func (p *Provider) mayJoin(r *arm.Request, action, id string) error {
	access, err := p.Tokens.Access(r.Context(), r.Principal)
	if err != nil {
		return err
	}
	var refused *arm.Error
	if err := access.Check(action, id); errors.As(err, &refused) {
		return arm.NewError(http.StatusForbidden, "LinkedAuthorizationFailed", "%s", refused.Message)
	} else if err != nil {
		return err
	}
	return nil
}

// outboundUser is another cluster whose traffic leaves with a public address or prefix.
func outboundUser(d *draft, known facts, id string) string {
	for i := range known.clusters {
		other := &known.clusters[i]
		if other.Name == d.next.Name {
			continue
		}
		for _, taken := range slices.Concat(other.Spec.Outbound.PublicIPIDs, other.Spec.Outbound.PublicIPPrefixIDs) {
			if strings.EqualFold(taken, id) {
				return other.Spec.Name
			}
		}
	}
	return ""
}

// checkPorts holds the ports that every node shall have against those that there are.
func (d *draft) checkPorts(addresses int) {
	ports, nodes := int(d.next.Spec.Outbound.PortsPerNode), addressplan.NodesOf(d.next)
	if ports == 0 || ports*nodes <= portsPerAddress*addresses {
		return
	}
	if d.old != nil && d.old.Spec.Outbound.PortsPerNode == d.next.Spec.Outbound.PortsPerNode && addressplan.NodesOf(d.old) >= nodes &&
		!d.body.Has(networkPath+"loadBalancerProfile") {
		return
	}
	d.fields.Add("InvalidLoadBalancerProfile", d.body.Path(balancerPath+"allocatedOutboundPorts"),
		"The allocatedOutboundPorts %d of %d nodes, those included that come for a while in upgrades, are %d ports; %d outbound addresses have %d. Ask for fewer ports (0 shares all among all), fewer nodes or more addresses.",
		ports, nodes, ports*nodes, addresses, portsPerAddress*addresses)
}

// balancerBody is the outbound side of the load balancer on the wire.
func balancerBody(c *containerservicev1alpha1.ManagedCluster) object {
	outbound := c.Spec.Outbound
	body := object{"backendPoolType": "nodeIPConfiguration", "allocatedOutboundPorts": outbound.PortsPerNode, "idleTimeoutInMinutes": 30}
	switch {
	case len(outbound.PublicIPIDs) > 0:
		body["outboundIPs"] = object{"publicIPs": references(outbound.PublicIPIDs)}
	case len(outbound.PublicIPPrefixIDs) > 0:
		body["outboundIPPrefixes"] = object{"publicIPPrefixes": references(outbound.PublicIPPrefixIDs)}
	default:
		body["managedOutboundIPs"] = object{"count": outbound.Managed()}
	}
	if effective := effectiveAddresses(c); len(effective) > 0 {
		body["effectiveOutboundIPs"] = references(effective)
	}
	return body
}

// effectiveAddresses are the ids of what traffic leaves with now: what is named,
// or the addresses that the cluster took, in its node resource group.
func effectiveAddresses(c *containerservicev1alpha1.ManagedCluster) []string {
	if named := slices.Concat(c.Spec.Outbound.PublicIPIDs, c.Spec.Outbound.PublicIPPrefixIDs); len(named) > 0 {
		return named
	}
	var list []string
	for n := range c.Status.OutboundAddresses {
		list = append(list, nodegroup.PublicAddressID(c, networkv1.PurposeOutbound(n)))
	}
	return list
}

func references(ids []string) []object {
	list := []object{}
	for _, id := range ids {
		list = append(list, object{"id": id})
	}
	return list
}

// shortageMessage tells a shortage with AKS's figures, and what can be done.
func shortageMessage(s addressplan.Shortage) string {
	why := "A node takes one address"
	if s.Name == addressplan.PodRange {
		why = "A node takes a /24 for its pods"
	}
	return fmt.Sprintf("Pre-allocated IPs %d exceeds IPs available %d in Subnet Cidr %s, Subnet Name %s. %s, and where pods have addresses of a subnet as many as maxPods; nodes that come for a while in upgrades (maxSurge) count. Ask for fewer nodes or a lower maxPods, or use a larger range.",
		s.Needed, s.Available, s.Prefix, s.Name, why)
}
