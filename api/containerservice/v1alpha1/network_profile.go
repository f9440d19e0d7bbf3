package v1alpha1

// The network plugins.
const (
	// NetworkPluginKubenet gives each node a range of pod addresses, which the
	// virtual network routes as the cluster's route table says.
	NetworkPluginKubenet = "kubenet"
	// NetworkPluginAzure gives pods addresses of a subnet; in the mode overlay,
	// each node a range of pod addresses.
	NetworkPluginAzure = "azure"
	// NetworkPluginNone leaves it to the owner to install a plugin.
	NetworkPluginNone = "none"
	// NetworkPluginModeOverlay is the one mode of the plugin azure that has a name.
	NetworkPluginModeOverlay = "overlay"
)

// The ways out of a cluster.
const (
	// OutboundTypeLoadBalancer lets traffic leave with the cluster's own public addresses.
	OutboundTypeLoadBalancer = "loadBalancer"
	// OutboundTypeNone lets nothing out but to the cluster's own API server.
	OutboundTypeNone = "none"
)

// NetworkProfile is the address plan of a cluster, in canonical CIDR notation.
type NetworkProfile struct {
	// Plugin says where pods have their addresses from.
	// +kubebuilder:validation:Enum=kubenet;azure;none
	Plugin string `json:"plugin"`
	// PluginMode is overlay, or empty.
	// +kubebuilder:validation:Enum=overlay
	// +optional
	PluginMode string `json:"pluginMode,omitempty"`
	// VirtualNetworkID is the ARM id of the virtual network, chosen before it is
	// made. It is empty for a cluster of an earlier version, whose network has the
	// cluster's incarnation as its name.
	// +optional
	VirtualNetworkID string `json:"virtualNetworkID,omitempty"`
	// VNetCIDR is the range of the virtual network that is made for the cluster,
	// 10.224.0.0/12; empty for a cluster that joins a network of a caller's.
	// +optional
	VNetCIDR string `json:"vnetCIDR,omitempty"`
	// NodeCIDR is the range of the subnet that is made for the cluster,
	// 10.224.0.0/16; empty for a cluster that joins a network.
	// +optional
	NodeCIDR string `json:"nodeCIDR,omitempty"`
	// PodCIDR is the range that the nodes' pod ranges are cut from; empty where
	// pods have addresses of a subnet.
	// +optional
	PodCIDR string `json:"podCIDR,omitempty"`
	// ServiceCIDR is the range of service addresses.
	ServiceCIDR string `json:"serviceCIDR"`
	// DNSServiceIP is the address of the cluster's DNS, inside ServiceCIDR.
	DNSServiceIP string `json:"dnsServiceIP"`
	// OutboundType says how traffic leaves the virtual network.
	// +kubebuilder:validation:Enum=loadBalancer;none
	OutboundType string `json:"outboundType"`
}

// Joins says that the cluster lives in a virtual network of a caller's.
func (n NetworkProfile) Joins() bool { return n.VNetCIDR == "" }

// FlatPods says that pods have addresses of a subnet.
func (n NetworkProfile) FlatPods() bool {
	return n.Plugin == NetworkPluginAzure && n.PluginMode != NetworkPluginModeOverlay
}

// OutboundProfile is what a caller wants of the outbound side of the cluster's
// load balancer. Addresses are managed, or named one by one, or those of named
// prefixes.
type OutboundProfile struct {
	// ManagedCount is how many addresses the cluster takes for itself; 0 is 1 if
	// none are named.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	ManagedCount int32 `json:"managedCount,omitempty"`
	// PublicIPIDs are the ARM ids of public addresses to leave with.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +optional
	PublicIPIDs []string `json:"publicIPIDs,omitempty"`
	// PublicIPPrefixIDs are the ARM ids of prefixes whose addresses to leave with.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +optional
	PublicIPPrefixIDs []string `json:"publicIPPrefixIDs,omitempty"`
	// PortsPerNode is how many source ports of an address each node has; 0 leaves
	// all to all.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=64000
	// +optional
	PortsPerNode int32 `json:"portsPerNode,omitempty"`
}

// Managed is how many addresses the cluster takes for itself.
func (o OutboundProfile) Managed() int {
	if len(o.PublicIPIDs)+len(o.PublicIPPrefixIDs) > 0 {
		return 0
	}
	return int(max(1, o.ManagedCount))
}
