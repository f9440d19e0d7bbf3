package containerservice

import (
	"context"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/containerservice/addressplan"
	"berth.dev/berth/internal/rp/join"
)

// The type of subnets, and what whoever puts nodes into one has to be allowed to.
const (
	subnetType = networkNamespace + "/virtualNetworks/subnets"
	joinSubnet = subnetType + joinVerb
)

// subnets sets where the nodes and pods of a pool have their addresses from. A
// new cluster lives in the network of its first pool that names one.
func (p poolDraft) subnets(request poolRequest) {
	for _, sent := range []struct {
		name, value string
		into        *string
	}{{"vnetSubnetID", request.VNetSubnetID, &p.pool.VNetSubnetID}, {"podSubnetID", request.PodSubnetID, &p.pool.PodSubnetID}} {
		if sent.value == "" || strings.EqualFold(sent.value, *sent.into) {
			continue
		}
		if id, err := arm.ParseResourceID(sent.value); err != nil || !strings.EqualFold(id.Type(), subnetType) {
			p.fields.Invalid(p.at(sent.name), "The %s '%.300s' is not the id of a subnet, /subscriptions/…/providers/Microsoft.Network/virtualNetworks/…/subnets/….", sent.name, sent.value)
			continue
		}
		*sent.into = sent.value
	}
	profile := &p.next.Spec.Network
	if p.draft.old == nil && p.pool.VNetSubnetID != "" && !profile.Joins() {
		profile.VirtualNetworkID, profile.VNetCIDR, profile.NodeCIDR = networkOf(p.pool.VNetSubnetID), "", ""
	}
}

// networkOf is the id of the virtual network of a subnet.
func networkOf(subnetID string) string { return path.Dir(path.Dir(subnetID)) }

// admitPlace looks whether what a body asks for has a place: in the networks
// that it names, with as many addresses, beside all other clusters. paths are
// those of the pools of the body.
func (p *Provider) admitPlace(r *arm.Request, d *draft, known facts, paths map[string]string) error {
	if len(d.fields.Details()) > 0 {
		return nil // ids and ranges may be wrong, which is told first
	}
	var joined *networkv1.VirtualNetwork
	if d.checkPools(paths); d.next.Spec.Network.Joins() && len(d.fields.Details()) == 0 {
		if err := p.admitJoin(r, d); err != nil {
			return err
		}
		var err error
		if joined, err = p.joined(r, d, paths); err != nil || joined == nil {
			return err
		}
		if known.clusters, err = p.neighbours(r.Context(), joined); err != nil {
			return err
		}
		d.joined = joined
	}
	if d.old == nil { // an address plan never changes, and the hosts' ranges may
		admitNetwork(d, known.publicRanges)
		if err := p.checkNodeGroup(r, d); err != nil {
			return err
		}
	}
	if joined != nil && d.old == nil {
		d.checkJoined(joined, known)
	}
	d.checkRoom(joined, known, paths)
	return p.admitOutbound(r, d, known)
}

// admitRestoredPlace holds the networks and addresses of a backup's cluster to
// the same rules as those of a body.
func (p *Provider) admitRestoredPlace(r *arm.Request, d *draft, known facts) error {
	d.fields = &arm.FieldErrors{}
	if err := d.decode(p.clusterSchema, []byte("{}"), &clusterRequest{}); err != nil {
		return err
	}
	paths := map[string]string{}
	for _, pool := range d.next.Spec.AgentPools {
		paths[pool.Name] = "properties.agentPoolProfiles."
	}
	if err := p.admitPlace(r, d, known, paths); err != nil {
		return err
	}
	return d.fields.Err()
}

// checkPools holds the subnets of the body's pools against each other.
func (d *draft) checkPools(paths map[string]string) {
	profile := d.next.Spec.Network
	for _, pool := range d.next.Spec.AgentPools {
		below, named := paths[pool.Name]
		if !named {
			continue
		}
		at := d.body.Path(below + "vnetSubnetID")
		switch {
		case pool.VNetSubnetID == "" && profile.Joins():
			d.fields.Invalid(at, "The agent pool '%s' names no vnetSubnetID: every pool of a cluster in a virtual network of one's own names a subnet of it, here of '%s'.", pool.Name, profile.VirtualNetworkID)
		case pool.VNetSubnetID != "" && !profile.Joins():
			d.fields.Invalid(at, "The agent pool '%s' cannot be in '%.300s': the cluster has a virtual network that was made for it, and all its pools are in that. Make a new cluster all of whose pools name subnets.", pool.Name, pool.VNetSubnetID)
		case pool.VNetSubnetID != "" && !strings.EqualFold(networkOf(pool.VNetSubnetID), profile.VirtualNetworkID):
			d.fields.Invalid(at, "The agent pool '%s' cannot be in '%.300s': all pools of a cluster are in one virtual network, here '%s'.", pool.Name, pool.VNetSubnetID, profile.VirtualNetworkID)
		}
		if pool.PodSubnetID == "" {
			continue
		}
		at = d.body.Path(below + "podSubnetID")
		switch {
		case !profile.FlatPods():
			d.fields.Invalid(at, "The podSubnetID goes with the network plugin azure without the mode overlay: otherwise pods have addresses of the podCidr.")
		case strings.EqualFold(pool.PodSubnetID, pool.VNetSubnetID):
			d.fields.Invalid(at, "The podSubnetID of the agent pool '%s' is its vnetSubnetID. Leave it out to have nodes and pods in one subnet.", pool.Name)
		case !strings.EqualFold(networkOf(pool.PodSubnetID), profile.VirtualNetworkID):
			d.fields.Invalid(at, "The podSubnetID '%.300s' is not in the virtual network of the nodes, '%s'.", pool.PodSubnetID, profile.VirtualNetworkID)
		}
	}
}

// subnetsOf are the subnets of a cluster's pools, by the name of the property.
func subnetsOf(cluster *containerservicev1alpha1.ManagedCluster) (ids []string) {
	if cluster == nil {
		return nil
	}
	for _, pool := range cluster.Spec.AgentPools {
		ids = append(ids, pool.VNetSubnetID)
		if pool.PodSubnetID != "" {
			ids = append(ids, pool.PodSubnetID)
		}
	}
	return ids
}

// admitJoin refuses subnets to callers who may not put nodes into them. A
// user-assigned identity of the cluster needs the same; a system-assigned one is
// not there before its cluster is, and is asked for nothing.
func (p *Provider) admitJoin(r *arm.Request, d *draft) error {
	before := subnetsOf(d.old)
	for _, id := range subnetsOf(d.next) {
		if slices.ContainsFunc(before, func(old string) bool { return strings.EqualFold(old, id) }) {
			continue
		}
		if err := p.mayJoin(r, joinSubnet, id); err != nil {
			return err
		}
		spec := d.next.Spec
		if spec.IdentityType != userAssigned {
			continue
		}
		own, err := p.Tokens.Access(r.Context(), arm.Principal{ObjectID: spec.UserAssignedPrincipalID})
		if err != nil {
			return err
		}
		if !own.Allows(joinSubnet, id) {
			return arm.NewError(http.StatusForbidden, "LinkedAuthorizationFailed",
				"The cluster's identity '%s' with object id '%s' does not have permission to perform action '%s' on the linked scope '%s'. Give it the role Network Contributor on that subnet first.",
				spec.UserAssignedIdentityID, spec.UserAssignedPrincipalID, joinSubnet, id)
		}
	}
	return nil
}

// joined is the network that the cluster lives in; nil if a field error says
// what is missing.
func (p *Provider) joined(r *arm.Request, d *draft, paths map[string]string) (*networkv1.VirtualNetwork, error) {
	id := d.next.Spec.Network.VirtualNetworkID
	var found networkv1.VirtualNetwork
	err := p.Client.Get(r.Context(), client.ObjectKey{Name: naming.Object(id)}, &found)
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	there := err == nil && !join.Leaves(&found, p.Now())
	complete := true
	for _, pool := range d.next.Spec.AgentPools {
		below, named := paths[pool.Name]
		for i, subnetID := range []string{pool.VNetSubnetID, pool.PodSubnetID} {
			if !named || subnetID == "" || there && hasSubnet(&found, path.Base(subnetID)) {
				continue
			}
			complete = false
			at := d.body.Path(below + []string{"vnetSubnetID", "podSubnetID"}[i])
			if !there {
				d.fields.Add("ResourceNotFound", at, "The virtual network '%s' was not found.", id)
				continue
			}
			d.fields.Add("SubnetNotFound", at, "The subnet '%s' was not found in the virtual network '%s'.", path.Base(subnetID), id)
		}
	}
	if there && found.Spec.ClusterName != "" && found.Spec.ClusterName != d.next.Name && d.old == nil {
		complete = false
		d.fields.Invalid(d.body.Path("properties.agentPoolProfiles"), "The virtual network '%s' was made for another managed cluster and goes with it. Make one of your own ('az network vnet create').", id)
	}
	if !complete || !there {
		return nil, nil
	}
	return &found, nil
}

// neighbours are all clusters, as they are after the network was read: those that
// another request is about to write into it included.
func (p *Provider) neighbours(ctx context.Context, joined *networkv1.VirtualNetwork) ([]containerservicev1alpha1.ManagedCluster, error) {
	var clusters containerservicev1alpha1.ManagedClusterList
	if err := p.Client.List(ctx, &clusters); err != nil {
		return nil, err
	}
	return join.With(joined, clusters.Items, p.Now()), nil
}

// claimPlace tells whoever takes subnets away, or gives the same addresses to others,
// that the cluster is about to be written. A conflict says to look again.
func (p *Provider) claimPlace(ctx context.Context, d *draft) error {
	if d.joined == nil {
		return nil
	}
	claims, err := join.Claim(d.joined, d.old, d.next, p.Now())
	if err != nil || !claims {
		return err
	}
	err = p.Client.Update(ctx, d.joined)
	if apierrors.IsNotFound(err) { // gone since it was read, which another look tells
		return apierrors.NewConflict(schema.GroupResource{Resource: "virtualnetworks"}, d.joined.Name, err)
	}
	return err
}

func hasSubnet(vnet *networkv1.VirtualNetwork, name string) bool {
	return slices.ContainsFunc(vnet.Spec.Current().Subnets, func(s networkv1.Subnet) bool { return strings.EqualFold(s.Name, name) })
}

// checkJoined holds the ranges of a new cluster against those of the network
// that it joins, and of the clusters that live in it.
func (d *draft) checkJoined(vnet *networkv1.VirtualNetwork, known facts) {
	profile := d.next.Spec.Network
	services, servicesErr := netip.ParsePrefix(profile.ServiceCIDR)
	pods, podsErr := netip.ParsePrefix(profile.PodCIDR)
	spec := vnet.Spec.Current()
	for _, subnet := range spec.Subnets {
		if prefix, err := netip.ParsePrefix(subnet.CIDR); err == nil && servicesErr == nil && prefix.Overlaps(services) {
			d.fields.Add("ServiceCidrOverlapExistingSubnetsCidr", d.body.Path(networkPath+"serviceCidr"),
				"The specified service CIDR %s is conflicted with an existing subnet CIDR %s. Choose another serviceCidr, and a dnsServiceIP in it.", services, prefix)
		}
	}
	if podsErr != nil {
		return
	}
	for _, text := range spec.AddressSpace {
		if prefix, err := netip.ParsePrefix(text); err == nil && prefix.Overlaps(pods) {
			d.fields.Invalid(d.body.Path(networkPath+"podCidr"), "The podCidr %s overlaps the address space %s of the virtual network.", pods, prefix)
		}
	}
	for i := range known.clusters {
		other := &known.clusters[i].Spec
		prefix, err := netip.ParsePrefix(other.Network.PodCIDR)
		if err == nil && known.clusters[i].Name != d.next.Name && strings.EqualFold(other.Network.VirtualNetworkID, profile.VirtualNetworkID) && prefix.Overlaps(pods) {
			d.fields.Invalid(d.body.Path(networkPath+"podCidr"), "The podCidr %s overlaps the podCidr %s of the managed cluster '%s' in the same virtual network, which routes each address to one node. Choose another one.", pods, prefix, other.Name)
		}
	}
}

// checkRoom looks whether the ranges of the cluster have addresses for its nodes and pods.
func (d *draft) checkRoom(vnet *networkv1.VirtualNetwork, known facts, paths map[string]string) {
	var joined networkv1.VirtualNetworkSpec
	if vnet != nil {
		joined = vnet.Spec.Current()
	}
	at := "properties.agentPoolProfiles"
	if len(paths) == 1 {
		for _, below := range paths {
			at = below + "count"
		}
	}
	for _, shortage := range addressplan.Of(d.next, joined).Check(d.old, known.clusters) {
		path := d.body.Path(at)
		if shortage.Name == addressplan.PodRange && d.body.Has(networkPath+"podCidr") {
			path = d.body.Path(networkPath + "podCidr")
		}
		d.fields.Add("InsufficientSubnetSize", path, "%s", shortageMessage(shortage))
	}
}

// checkNodeGroup refuses a node resource group that is there already: all of it
// goes with the cluster.
func (p *Provider) checkNodeGroup(r *arm.Request, d *draft) error {
	spec := d.next.Spec
	group, err := p.groupThere(r.Context(), spec.SubscriptionID, spec.NodeResourceGroup)
	if err != nil || group == "" {
		return err
	}
	d.fields.Add("NodeResourceGroupAlreadyExists", d.body.Path("properties.nodeResourceGroup"),
		"The nodeResourceGroup '%s' is there already%s. It has to be new, because all that lies in it goes with the cluster: name another one, or delete it.", spec.NodeResourceGroup, group)
	return nil
}
