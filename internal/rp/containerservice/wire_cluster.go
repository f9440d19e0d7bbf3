package containerservice

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/release"
)

// object is a JSON object on its way out.
type object = map[string]any

// clusterBody is a cluster on the wire: what was asked for, what was observed,
// and the defaults where they are true.
func (p *Provider) clusterBody(r *arm.Request, c *containerservicev1alpha1.ManagedCluster, pools map[string]*containerservicev1alpha1.AgentPool) object {
	kept := loadValues(c)
	profiles := []any{}
	for i := range c.Spec.AgentPools {
		profile := poolView(c, &c.Spec.AgentPools[i], pools[c.Spec.AgentPools[i].Name])
		profile["name"] = c.Spec.AgentPools[i].Name
		mergeInert(profile, kept[c.Spec.AgentPools[i].Name])
		withETag(r, profile, etag(c, c.Spec.AgentPools[i].Name))
		profiles = append(profiles, profile)
	}
	id := ClusterID(c.Spec.SubscriptionID, c.Spec.ResourceGroup, c.Spec.Name)
	body := object{
		"id": wireID(id), "name": c.Spec.Name, "type": Namespace + "/ManagedClusters", "location": c.Spec.Location,
		"sku":      object{"name": "Base", "tier": c.Spec.Tier},
		"identity": p.identityBody(c),
		"properties": object{
			"provisioningState": c.DeriveProvisioningState(), "powerState": object{"code": c.ObservedPowerState()},
			"kubernetesVersion": c.Spec.RequestedVersion, "currentKubernetesVersion": firstOf(c.Status.CurrentKubernetesVersion, c.ServedVersion()),
			"dnsPrefix": c.Spec.DNSPrefix, "agentPoolProfiles": profiles, "nodeResourceGroup": c.Spec.NodeResourceGroup,
			"enableRBAC": true, "disableLocalAccounts": false, "supportPlan": "KubernetesOfficial", "maxAgentPools": maxPools,
			"servicePrincipalProfile": object{"clientId": "msi"}, "identityProfile": object{kubeletIdentityKey: kubeletIdentity(c)}, "networkProfile": networkBody(c),
			"storageProfile": object{
				"diskCSIDriver": object{"enabled": true}, "fileCSIDriver": object{"enabled": false}, "snapshotController": object{"enabled": false},
			},
			"oidcIssuerProfile": object{"enabled": false}, "securityProfile": object{}, "resourceUID": resourceUID(c),
		},
	}
	if len(c.Spec.Tags) > 0 {
		body["tags"] = c.Spec.Tags
	}
	if c.Status.FQDN != "" {
		body["properties"].(object)["fqdn"] = c.Status.FQDN
	}
	if o := c.Spec.UpgradeOverride; o != nil {
		body["properties"].(object)["upgradeSettings"] = object{"overrideSettings": object{"forceUpgrade": o.Force, "until": o.Until.UTC().Format(time.RFC3339)}}
	}
	if profile := channelsBody(c); len(profile) > 0 {
		body["properties"].(object)["autoUpgradeProfile"] = profile
	}
	if access := apiServerBody(c); len(access) > 0 {
		body["properties"].(object)["apiServerAccessProfile"] = access
	}
	mergeInert(body, kept[meta.ScopeCluster])
	spellSKU(r, body["sku"].(object))
	withETag(r, body, etag(c, meta.ScopeCluster))
	return body
}

// poolView are the properties of a pool on the wire. pool is its
// projection, nil while the controllers have not made it.
func poolView(c *containerservicev1alpha1.ManagedCluster, profile *containerservicev1alpha1.AgentPoolProfile, pool *containerservicev1alpha1.AgentPool) object {
	current, image := profile.OrchestratorVersion, release.NodeImageName
	if pool != nil {
		current = firstOf(pool.Status.CurrentOrchestratorVersion, current)
		image = firstOf(pool.Status.NodeImageVersion, image)
	}
	body := object{
		"provisioningState": c.DerivePoolProvisioningState(profile.Name, pool), "powerState": object{"code": poolPower(c, profile, pool)},
		"count": profile.Count, "vmSize": profile.VMSize, "mode": profile.Mode, "maxPods": profile.MaxPods,
		"osDiskSizeGB": profile.OSDiskSizeGB, "osDiskType": defaultOSDiskType, "kubeletDiskType": "OS",
		"type": "VirtualMachineScaleSets", "osType": "Linux", "scaleDownMode": scaleDownMode(profile),
		"orchestratorVersion": profile.OrchestratorVersion, "currentOrchestratorVersion": current, "nodeImageVersion": image,
		"enableAutoScaling": false, "enableNodePublicIP": false, "enableFIPS": false,
	}
	if profile.VNetSubnetID != "" {
		body["vnetSubnetID"] = profile.VNetSubnetID
	}
	if profile.PodSubnetID != "" {
		body["podSubnetID"] = profile.PodSubnetID
	}
	if settings := upgradeSettingsBody(profile.UpgradeSettings); len(settings) > 0 {
		body["upgradeSettings"] = settings
	}
	nodeConfigBody(body, profile)
	if len(profile.NodeLabels) > 0 {
		body["nodeLabels"] = profile.NodeLabels
	}
	if len(profile.NodeTaints) > 0 {
		body["nodeTaints"] = profile.NodeTaints
	}
	if len(profile.Tags) > 0 {
		body["tags"] = profile.Tags
	}
	return body
}

// poolBody is a pool on the wire as a resource of its own.
func (p *Provider) poolBody(r *arm.Request, c *containerservicev1alpha1.ManagedCluster, profile *containerservicev1alpha1.AgentPoolProfile, pool *containerservicev1alpha1.AgentPool) object {
	id := ClusterID(c.Spec.SubscriptionID, c.Spec.ResourceGroup, c.Spec.Name).Child("agentPools", profile.Name)
	properties := poolView(c, profile, pool)
	mergeInert(properties, loadValues(c)[profile.Name])
	withETag(r, properties, etag(c, profile.Name))
	return object{"id": wireID(id), "name": profile.Name, "type": Namespace + "/managedClusters/agentPools", "properties": properties}
}

// withETag adds the entity tag for api-versions that have it.
func withETag(r *arm.Request, body object, tag string) {
	if r.APIVersion >= firstETagVersion {
		body["eTag"] = tag
	}
}

// resourceUID is an id of 24 hexadecimal digits that a cluster made anew does not share.
func resourceUID(c *containerservicev1alpha1.ManagedCluster) string {
	sum := sha256.Sum256([]byte(c.Spec.Incarnation + string(c.UID)))
	return hex.EncodeToString(sum[:12])
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
