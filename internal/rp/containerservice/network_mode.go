package containerservice

import (
	"context"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
)

// networkNamespace is the resource provider of what clusters live in.
const networkNamespace = "Microsoft.Network"

// networkID is the ARM id of one of its resources.
func networkID(subscriptionID, group, resourceType, name string) arm.ResourceID {
	return arm.ResourceID{SubscriptionID: subscriptionID, ResourceGroup: group, Provider: networkNamespace, Types: []string{resourceType}, Names: []string{name}}
}

// firstOverlayVersion is the first api-version in which a cluster that names no
// network plugin is an overlay.
const firstOverlayVersion = "2025-02-01"

// The pods that a node takes if nobody says how many, by where they have their
// addresses from.
const (
	kubenetMaxPods = 110
	subnetMaxPods  = 30
	overlayMaxPods = 250
)

// chooseMode decides where the pods of a new cluster have their addresses from.
func chooseMode(d *draft, request networkRequest) {
	profile := &d.next.Spec.Network
	profile.Plugin, profile.PluginMode = strings.ToLower(request.NetworkPlugin), strings.ToLower(request.NetworkPluginMode)
	switch {
	case profile.Plugin != "":
	case profile.PluginMode == "" && d.apiVersion < firstOverlayVersion:
		profile.Plugin = containerservicev1alpha1.NetworkPluginKubenet
	default:
		profile.Plugin, profile.PluginMode = containerservicev1alpha1.NetworkPluginAzure, containerservicev1alpha1.NetworkPluginModeOverlay
	}
	if strings.EqualFold(request.OutboundType, containerservicev1alpha1.OutboundTypeNone) {
		profile.OutboundType = containerservicev1alpha1.OutboundTypeNone
	}
}

// noPodRange refuses a range of pods where their addresses are a subnet's.
func (d *draft) noPodRange(request networkRequest) {
	for _, name := range []string{"podCidr", "podCidrs"} {
		if name == "podCidr" && request.PodCIDR != "" || name == "podCidrs" && len(request.PodCIDRs) > 0 {
			path := d.body.Path(networkPath + name)
			d.fields.Invalid(path, "The %s does not go with the network plugin azure: its pods have addresses of a subnet. Leave it out, or set networkPluginMode to overlay.", path)
		}
	}
}

// defaultMaxPods is how many pods a node takes if nobody says.
func defaultMaxPods(profile containerservicev1alpha1.NetworkProfile) int32 {
	switch {
	case profile.FlatPods():
		return subnetMaxPods
	case profile.Plugin == containerservicev1alpha1.NetworkPluginAzure:
		return overlayMaxPods
	}
	return kubenetMaxPods
}

// mintNetwork names the network that is made for a new cluster as AKS does.
func mintNetwork(spec *containerservicev1alpha1.ManagedClusterSpec) {
	if !spec.Network.Joins() {
		name := "aks-vnet-" + naming.Digits(spec.Incarnation)
		spec.Network.VirtualNetworkID = networkID(spec.SubscriptionID, spec.NodeResourceGroup, "virtualNetworks", name).String()
	}
}

// networkBody is the network profile on the wire.
func networkBody(c *containerservicev1alpha1.ManagedCluster) object {
	n := c.Spec.Network
	body := object{
		"networkPlugin": n.Plugin, "networkPolicy": "none", "loadBalancerSku": "standard", "outboundType": n.OutboundType,
		"serviceCidr": n.ServiceCIDR, "dnsServiceIP": n.DNSServiceIP,
		"serviceCidrs": []string{n.ServiceCIDR}, "ipFamilies": []string{"IPv4"},
	}
	if n.PluginMode != "" {
		body["networkPluginMode"] = n.PluginMode
	}
	if n.PodCIDR != "" {
		body["podCidr"], body["podCidrs"] = n.PodCIDR, []string{n.PodCIDR}
	}
	if n.OutboundType == containerservicev1alpha1.OutboundTypeLoadBalancer {
		body["loadBalancerProfile"] = balancerBody(c)
	}
	return body
}

// groupThere says whose a resource group is, empty if it is not there.
func (p *Provider) groupThere(ctx context.Context, subscriptionID, name string) (string, error) {
	var group resourcesv1alpha1.ResourceGroup
	err := p.Client.Get(ctx, client.ObjectKey{Name: groupObject(subscriptionID, name)}, &group)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return "", err
	case err != nil:
		return "", nil
	case group.Spec.ManagedBy != "":
		return ", that of '" + group.Spec.ManagedBy + "'", nil
	}
	return ", of a caller's", nil
}
