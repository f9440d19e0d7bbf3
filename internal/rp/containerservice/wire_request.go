package containerservice

import "time"

// clusterRequest is what acts in the body of a managed cluster.
type clusterRequest struct {
	Location   string             `json:"location"`
	Tags       map[string]string  `json:"tags"`
	Identity   ownIdentityRequest `json:"identity"`
	Properties struct {
		KubernetesVersion  string                      `json:"kubernetesVersion"`
		UpgradeSettings    *upgradeSettingsRequest     `json:"upgradeSettings"`
		AutoUpgradeProfile autoUpgradeRequest          `json:"autoUpgradeProfile"`
		DNSPrefix          string                      `json:"dnsPrefix"`
		NodeResourceGroup  string                      `json:"nodeResourceGroup"`
		AgentPoolProfiles  []poolRequest               `json:"agentPoolProfiles"`
		NetworkProfile     networkRequest              `json:"networkProfile"`
		LinuxProfile       linuxRequest                `json:"linuxProfile"`
		IdentityProfile    map[string]*identityRequest `json:"identityProfile"`
		APIServerAccess    apiServerRequest            `json:"apiServerAccessProfile"`
	} `json:"properties"`
}

// apiServerRequest is what acts in an API server's access profile.
type apiServerRequest struct {
	DisableRunCommand  *bool     `json:"disableRunCommand"`
	AuthorizedIPRanges *[]string `json:"authorizedIPRanges"`
}

// upgradeSettingsRequest is what acts in the upgrade settings of a cluster.
type upgradeSettingsRequest struct {
	OverrideSettings struct {
		ForceUpgrade bool       `json:"forceUpgrade"`
		Until        *time.Time `json:"until"`
	} `json:"overrideSettings"`
}

// networkRequest is what acts in a network profile.
type networkRequest struct {
	PodCIDR      string   `json:"podCidr"`
	PodCIDRs     []string `json:"podCidrs"`
	ServiceCIDR  string   `json:"serviceCidr"`
	ServiceCIDRs []string `json:"serviceCidrs"`
	DNSServiceIP string   `json:"dnsServiceIP"`

	NetworkPlugin       string           `json:"networkPlugin"`
	NetworkPluginMode   string           `json:"networkPluginMode"`
	OutboundType        string           `json:"outboundType"`
	LoadBalancerProfile *balancerRequest `json:"loadBalancerProfile"`
}

// balancerRequest is what acts in a load balancer's profile.
type balancerRequest struct {
	ManagedOutboundIPs struct {
		Count *int32 `json:"count"`
	} `json:"managedOutboundIPs"`
	OutboundIPs struct {
		PublicIPs []idRequest `json:"publicIPs"`
	} `json:"outboundIPs"`
	OutboundIPPrefixes struct {
		PublicIPPrefixes []idRequest `json:"publicIPPrefixes"`
	} `json:"outboundIPPrefixes"`
	AllocatedOutboundPorts *int32 `json:"allocatedOutboundPorts"`
}

// idRequest names another resource.
type idRequest struct {
	ID string `json:"id"`
}

// linuxRequest has no effect, but rules of its own.
type linuxRequest struct {
	AdminUsername *string `json:"adminUsername"`
	SSH           struct {
		PublicKeys []any `json:"publicKeys"`
	} `json:"ssh"`
}

// poolUpgradeRequest is what acts in the upgrade settings of a pool.
type poolUpgradeRequest struct {
	MaxSurge                  string `json:"maxSurge"`
	MaxUnavailable            string `json:"maxUnavailable"`
	DrainTimeoutInMinutes     int32  `json:"drainTimeoutInMinutes"`
	NodeSoakDurationInMinutes *int32 `json:"nodeSoakDurationInMinutes"`
	UndrainableNodeBehavior   string `json:"undrainableNodeBehavior"`
}

// poolRequest is what acts in an agent pool.
type poolRequest struct {
	Name                string              `json:"name"`
	Count               *int32              `json:"count"`
	VMSize              string              `json:"vmSize"`
	Mode                string              `json:"mode"`
	OSDiskSizeGB        int32               `json:"osDiskSizeGB"`
	MaxPods             *int32              `json:"maxPods"`
	OrchestratorVersion string              `json:"orchestratorVersion"`
	NodeLabels          map[string]string   `json:"nodeLabels"`
	NodeTaints          []string            `json:"nodeTaints"`
	UpgradeSettings     *poolUpgradeRequest `json:"upgradeSettings"`
	ScaleDownMode       string              `json:"scaleDownMode"`
	PowerState          struct {
		Code string `json:"code"`
	} `json:"powerState"`
	Tags              map[string]string `json:"tags"`
	AvailabilityZones []string          `json:"availabilityZones"`
	VNetSubnetID      string            `json:"vnetSubnetID"`
	PodSubnetID       string            `json:"podSubnetID"`
	KubeletConfig     *kubeletRequest   `json:"kubeletConfig"`
	LinuxOSConfig     *systemRequest    `json:"linuxOSConfig"`
}

// agentPoolRequest is what acts in the body of an agent pool.
type agentPoolRequest struct {
	Properties poolRequest `json:"properties"`
}
