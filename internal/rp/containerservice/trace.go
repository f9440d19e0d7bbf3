package containerservice

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	hostv1alpha1 "berth.dev/berth/api/host/v1alpha1"
	networkv1alpha1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/network/trace"
	"berth.dev/berth/internal/topology"
)

// traceRoutes are the action that follows a packet of a cluster.
func (p *Provider) traceRoutes() []arm.Route {
	return []arm.Route{{
		Method: http.MethodPost, Pattern: "/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/" + BerthNamespace + "/managedClusters/{resourceName}/traceNetwork",
		Action: BerthNamespace + "/managedClusters/traceNetwork/action", Handle: p.traceNetwork,
		Versions: &arm.VersionTable{ResourceType: "managedClusters", Location: p.Location, Versions: []string{BerthVersion}},
	}}
}

// traceRequest is what a caller asks. From and To are names of nodes or addresses.
type traceRequest struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Protocol string `json:"protocol"`
	Port     uint16 `json:"port"`
}

// traceNetwork says what becomes of a packet that a node or pod of the cluster
// sends, as the networks are to be programmed.
func (p *Provider) traceNetwork(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.cluster(r)
	if err != nil {
		return err
	}
	request, err := readTrace(w, r)
	if err != nil {
		return err
	}
	world, own, err := p.world(r.Context(), cluster)
	if err != nil {
		return err
	}
	fields := &arm.FieldErrors{}
	packet := trace.Packet{Network: own, Protocol: strings.ToUpper(request.Protocol), Port: request.Port}
	if packet.From, err = p.place(r.Context(), cluster, request.From); err != nil {
		fields.Invalid("from", "%s", err)
	}
	if packet.To, err = p.place(r.Context(), cluster, request.To); err != nil {
		fields.Invalid("to", "%s", err)
	}
	if packet.Protocol != network.ProtocolICMP && packet.Port == 0 {
		fields.Invalid("port", "A packet of TCP or UDP needs a destination port, 1 to 65535.")
	}
	if err := fields.Err(); err != nil {
		return err
	}
	result := trace.Run(world, packet)
	hops := []object{}
	for _, hop := range visible(result, cluster.Spec.Incarnation, own) {
		hops = append(hops, object{"where": hop.Where, "what": hop.What, "says": hop.Says})
	}
	return arm.WriteJSON(w, http.StatusOK, object{
		"from": packet.From.String(), "to": packet.To.String(), "protocol": packet.Protocol, "port": packet.Port, "verdict": string(result.Verdict), "hops": hops,
	})
}

func readTrace(w http.ResponseWriter, r *arm.Request) (traceRequest, error) {
	request := traceRequest{Protocol: network.ProtocolTCP}
	if err := r.ReadBody(w); err != nil {
		return request, err
	}
	schema, err := arm.NewSchema([]arm.Property{
		{Path: "from", Kind: arm.String}, {Path: "to", Kind: arm.String}, {Path: "port", Kind: arm.Integer},
		arm.Property{Path: "protocol", Kind: arm.String}.OneOf("Tcp", "Udp", "Icmp"),
	})
	if err != nil {
		return request, err
	}
	fields := &arm.FieldErrors{}
	body, err := schema.Read(r.Body, fields)
	if err != nil {
		return request, err
	}
	if err := fields.Err(); err != nil {
		return request, err
	}
	if err := body.Decode(&request); err != nil {
		fields.Invalid("port", "A port is a number from 1 to 65535.")
		return request, fields.Err()
	}
	return request, nil
}

// place is the address of a node of the cluster, or an address itself.
func (p *Provider) place(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster, text string) (netip.Addr, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Is4() {
		return address, nil
	}
	var machines containerservicev1alpha1.MachineList
	if err := p.Client.List(ctx, &machines); err != nil {
		return netip.Addr{}, err
	}
	i := slices.IndexFunc(machines.Items, func(m containerservicev1alpha1.Machine) bool {
		return m.Spec.ClusterName == cluster.Name && strings.EqualFold(m.Spec.NodeName, text)
	})
	if i < 0 {
		return netip.Addr{}, fmt.Errorf("'%.80s' is neither an IPv4 address nor a node of the cluster", text)
	}
	return netip.ParseAddr(machines.Items[i].Spec.Address)
}

// world is all that a packet can meet, and the id of the cluster's own network.
func (p *Provider) world(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster) (world trace.World, own string, err error) {
	var hosts hostv1alpha1.HostList
	var planes containerservicev1alpha1.ControlPlaneList
	var networks networkv1alpha1.VirtualNetworkList
	for _, list := range []client.ObjectList{&hosts, &planes, &networks} {
		if err := p.Client.List(ctx, list); err != nil {
			return world, "", err
		}
	}
	for _, host := range hosts.Items {
		if world.Public, err = netip.ParsePrefix(host.Spec.PublicRange); err != nil {
			return world, "", fmt.Errorf("reading the public range: %w", err)
		}
		world.Egress = host.Spec.Egress
	}
	plan := network.PlanPublicRange(world.Public)
	world.Host, world.Services = plan.Host, []netip.Addr{plan.FrontEnd, plan.DNS}
	for _, plane := range planes.Items {
		if plane.Spec.HostName == "" { // it is being made, and has no address yet
			continue
		}
		endpoint := network.Endpoint{ID: plane.Spec.Incarnation}
		if endpoint.Address, err = netip.ParseAddr(plane.Spec.Address); err != nil {
			return world, "", fmt.Errorf("reading the address of control plane %s: %w", plane.Name, err)
		}
		for _, text := range plane.Spec.AuthorizedIPRanges {
			authorized, err := netip.ParsePrefix(text)
			if err != nil {
				return world, "", fmt.Errorf("reading the ranges of control plane %s: %w", plane.Name, err)
			}
			endpoint.Authorized = append(endpoint.Authorized, authorized)
		}
		world.Endpoints = append(world.Endpoints, endpoint)
	}
	name := naming.VirtualNetwork(cluster.Spec.Network.VirtualNetworkID, cluster.Spec.Incarnation)
	for i := range networks.Items {
		virtual := &networks.Items[i]
		parts, err := topology.Read(ctx, p.Client, virtual, plan.DNS)
		if err != nil {
			return world, "", err
		}
		read, err := parts.Network(virtual.Spec.Current())
		if err != nil {
			return world, "", err
		}
		world.Networks = append(world.Networks, read)
		if virtual.Name == name {
			own = read.ID
		}
	}
	if own == "" {
		return world, "", arm.NewError(http.StatusConflict, "VirtualNetworkNotReady", "The virtual network of the managed cluster '%s' is not there yet.", cluster.Spec.Name)
	}
	return world, own, nil
}

// visible are the hops that the owner of a cluster may see: of what is another's,
// only whether it lets a packet in, which trying would tell as well.
func visible(result trace.Result, incarnation, own string) []trace.Hop {
	var hops []trace.Hop
	for _, hop := range result.Hops {
		id, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(hop.Where, "network "), "control plane "), ",")
		mine := id == own || id == incarnation
		passing := !strings.HasPrefix(hop.Where, "network ") && !strings.HasPrefix(hop.Where, "control plane ")
		if hop.Where == "edge" && strings.Contains(hop.Says, "belongs to network") && !strings.HasSuffix(hop.Says, own) {
			hop.Says, passing = "the address is that of another network", true
		}
		if mine || passing {
			hops = append(hops, hop)
			continue
		}
		says := "it is let in"
		if result.Verdict != trace.Delivered {
			says = "it is not let in; what stops it is for its owner to see"
		}
		return append(hops, trace.Hop{Where: "another owner's", What: "network", Says: says})
	}
	return hops
}
