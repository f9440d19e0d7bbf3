package containerservice

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

// validateCluster checks the values of a cluster and what they have to do with
// each other. The network has a file of its own, pools are checked as they are
// converted.
func validateCluster(d *draft, request clusterRequest, id arm.ResourceID, location string) {
	properties := request.Properties
	if !validClusterName(id.Name()) {
		d.fields.Invalid("resourceName", "The name '%.100s' is invalid: a cluster's name has 1 to 63 letters, digits, dashes and underscores, and begins and ends with a letter or digit.", id.Name())
	}
	validateLocation(d, request.Location, location)
	resources.CheckTags(request.Tags, d.body.Path("tags"), d.fields)
	if !regexp.MustCompile(`^[a-zA-Z0-9]$|^[a-zA-Z0-9][-a-zA-Z0-9]{0,52}[a-zA-Z0-9]$`).MatchString(d.next.Spec.DNSPrefix) {
		d.fields.Invalid(d.body.Path("properties.dnsPrefix"), "The dnsPrefix '%.100s' is invalid: it has 1 to 54 letters, digits and dashes, and begins and ends with a letter or digit.", d.next.Spec.DNSPrefix)
	}
	validateNodeGroup(d, properties.NodeResourceGroup, id)
	if name := properties.LinuxProfile.AdminUsername; name != nil && !regexp.MustCompile(`^[A-Za-z][-A-Za-z0-9_]*$`).MatchString(*name) {
		d.fields.Invalid(d.body.Path("properties.linuxProfile.adminUsername"), "The admin user name '%.60s' is invalid: it has letters, digits, dashes and underscores, and begins with a letter.", *name)
	}
	if n := len(properties.LinuxProfile.SSH.PublicKeys); n > 1 {
		d.fields.Invalid(d.body.Path("properties.linuxProfile.ssh.publicKeys"), "There are %d SSH keys; at most one is allowed.", n)
	}
	if d.old != nil {
		validateClusterChange(d, request)
	}
	validateNetwork(d)
}

// validateNodeGroup checks the name of the node resource group.
func validateNodeGroup(d *draft, name string, id arm.ResourceID) {
	path := d.body.Path("properties.nodeResourceGroup")
	switch {
	case name == "":
	case len(name) > maxNodeGroupName || !regexp.MustCompile(`^[-_().\p{L}\p{N}]+$`).MatchString(name) || strings.HasSuffix(name, "."):
		d.fields.Invalid(path, "The nodeResourceGroup '%.100s' is invalid: it may have up to %d letters, digits and the characters - _ ( ) . and does not end with a period.", name, maxNodeGroupName)
	case strings.EqualFold(name, id.ResourceGroup):
		d.fields.Invalid(path, "The nodeResourceGroup '%s' is the resource group of the cluster itself; it has to be another.", name)
	}
}

func validateLocation(d *draft, requested, location string) {
	path := d.body.Path("location")
	switch {
	case requested == "":
		d.fields.Add("LocationRequired", path, "The location property is required for this definition.")
	case !resources.SameLocation(requested, location):
		d.fields.Add("LocationNotAvailableForResourceType", path,
			"The provided location '%.100s' is not available for resource type '%s/managedClusters'. List of available regions for the resource type is '%s'.", requested, Namespace, location)
	}
}

// validateClusterChange checks what may not change in a cluster that exists.
func validateClusterChange(d *draft, request clusterRequest) {
	old := d.old.Spec
	fixed := func(path, requested, current string) {
		if requested != "" && !strings.EqualFold(requested, current) {
			spelled := d.body.Path(path)
			d.fields.Add(arm.CodeChangeNotAllowed, spelled, "Changing property '%s' is not allowed: it is '%s' as long as the cluster is there. Leave it out, or make a new cluster.", spelled, current)
		}
	}
	fixed("properties.dnsPrefix", request.Properties.DNSPrefix, old.DNSPrefix)
	fixed("properties.nodeResourceGroup", request.Properties.NodeResourceGroup, old.NodeResourceGroup)
	network := request.Properties.NetworkProfile
	fixed("properties.networkProfile.networkPlugin", network.NetworkPlugin, old.Network.Plugin)
	fixed("properties.networkProfile.networkPluginMode", network.NetworkPluginMode, firstOf(old.Network.PluginMode, "none"))
	fixed("properties.networkProfile.outboundType", network.OutboundType, old.Network.OutboundType)
	fixed("properties.networkProfile.podCidr", d.next.Spec.Network.PodCIDR, old.Network.PodCIDR)
	fixed("properties.networkProfile.serviceCidr", d.next.Spec.Network.ServiceCIDR, old.Network.ServiceCIDR)
	fixed("properties.networkProfile.dnsServiceIP", d.next.Spec.Network.DNSServiceIP, old.Network.DNSServiceIP)
}

// validatePools checks the pools of a cluster together.
func validatePools(d *draft, allowNone bool) {
	const path = "properties.agentPoolProfiles"
	pools := d.next.Spec.AgentPools
	if len(pools) == 0 {
		if !allowNone {
			d.fields.Invalid(d.body.Path(path), "Required parameter agentPoolProfiles is missing or empty: a cluster needs at least one agent pool of mode System.")
		}
		return
	}
	if !hasSystemPool(pools) {
		d.fields.Invalid(d.body.Path(path), "Must define at least one system pool: none of the %d agent pools has the mode System.", len(pools))
	}
	if len(pools) > maxPools {
		d.fields.Invalid(d.body.Path(path), "The cluster would have %d agent pools; at most %d are allowed.", len(pools), maxPools)
	}
	nodes := countNodes(pools)
	if nodes > maxClusterNodes {
		d.fields.Invalid(d.body.Path(path), "The cluster would have %d nodes; at most %d are allowed.", nodes, maxClusterNodes)
	}
}

func hasSystemPool(pools []containerservicev1alpha1.AgentPoolProfile) bool {
	for _, pool := range pools {
		if pool.Mode == "System" {
			return true
		}
	}
	return false
}

func countNodes(pools []containerservicev1alpha1.AgentPoolProfile) int {
	nodes := 0
	for _, pool := range pools {
		nodes += int(max(pool.Count, 0))
	}
	return nodes
}

func validClusterName(name string) bool {
	return regexp.MustCompile(`^[a-zA-Z0-9]$|^[a-zA-Z0-9][-_a-zA-Z0-9]{0,61}[a-zA-Z0-9]$`).MatchString(name)
}

// less compares two full versions of the catalog.
func less(a, b string) bool {
	va, errA := version.ParseGeneric(a)
	vb, errB := version.ParseGeneric(b)
	return errA == nil && errB == nil && va.LessThan(vb)
}

func index(i int) string { return fmt.Sprintf("[%s]", strconv.Itoa(i)) }
