package containerservice

import (
	"net/http"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/upgrade"
)

// upgradesOf are the versions that a cluster of a version may be upgraded to:
// newer patches of its minor, and the next minor.
func upgradesOf(from release.Version) []release.Version {
	var upgrades []release.Version
	next := ""
	for _, version := range release.Versions() {
		if next == "" && version.Minor != from.Minor && less(from.Version, version.Version) {
			next = version.Minor
		}
		if less(from.Version, version.Version) && (version.Minor == from.Minor || version.Minor == next) {
			upgrades = append(upgrades, version)
		}
	}
	return upgrades
}

// listKubernetesVersions lists the catalog by minor.
func (p *Provider) listKubernetesVersions(w http.ResponseWriter, r *arm.Request) error {
	if err := p.checkLocation(r); err != nil {
		return err
	}
	var minors []object
	byMinor := map[string]object{}
	for _, version := range release.Versions() {
		minor := byMinor[version.Minor]
		if minor == nil {
			minor = object{
				"version": version.Minor, "isDefault": false, "isPreview": version.Preview,
				"capabilities": object{"supportPlan": []string{"KubernetesOfficial"}}, "patchVersions": object{},
			}
			byMinor[version.Minor] = minor
			minors = append(minors, minor)
		}
		if version.Default {
			minor["isDefault"] = true
		}
		upgrades := []string{}
		for _, upgrade := range upgradesOf(version) {
			upgrades = append(upgrades, upgrade.Version)
		}
		minor["patchVersions"].(object)[version.Version] = object{"upgrades": upgrades}
	}
	return arm.WriteJSON(w, http.StatusOK, object{"values": minors})
}

// listOrchestrators is the older list of the catalog.
func (p *Provider) listOrchestrators(w http.ResponseWriter, r *arm.Request) error {
	if err := p.checkLocation(r); err != nil {
		return err
	}
	orchestrators := []object{}
	for _, version := range release.Versions() {
		entry := object{"orchestratorType": "Kubernetes", "orchestratorVersion": version.Version, "upgrades": upgradeEntries(upgradesOf(version))}
		if version.Default {
			entry["default"] = true
		}
		if version.Preview {
			entry["isPreview"] = true
		}
		orchestrators = append(orchestrators, entry)
	}
	base := "/subscriptions/" + r.Param("subscriptionID") + "/providers/" + Namespace + "/locations/" + p.Location + "/orchestrators"
	return arm.WriteJSON(w, http.StatusOK, object{
		"id": base, "name": "default", "type": Namespace + "/locations/orchestrators", "properties": object{"orchestrators": orchestrators},
	})
}

func upgradeEntries(versions []release.Version) []object {
	entries := []object{}
	for _, version := range versions {
		entry := object{"orchestratorType": "Kubernetes", "orchestratorVersion": version.Version}
		if version.Preview {
			entry["isPreview"] = true
		}
		entries = append(entries, entry)
	}
	return entries
}

// upgradeProfile says what a cluster may be upgraded to. The empty lists are
// there because az reads them without looking whether they are.
func (p *Provider) upgradeProfile(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.cluster(r)
	if err != nil {
		return err
	}
	upgrades := []object{}
	if !cluster.Spec.Upgrade.Revocable() { // before the next it is lifted or rolled back
		version := cluster.Spec.KubernetesVersion
		upgrades = profileUpgrades(upgradesOf(release.Version{Version: version, Minor: upgrade.Minor(version)}))
	}
	pools := []object{}
	for _, pool := range cluster.Spec.AgentPools {
		pools = append(pools, object{"name": pool.Name, "kubernetesVersion": pool.OrchestratorVersion, "osType": "Linux",
			"upgrades": profileUpgrades(poolUpgrades(pool.OrchestratorVersion, cluster.ServedVersion()))})
	}
	id := ClusterID(cluster.Spec.SubscriptionID, cluster.Spec.ResourceGroup, cluster.Spec.Name)
	return arm.WriteJSON(w, http.StatusOK, object{
		"id": wireID(id.Child("upgradeProfiles", "default")), "name": "default", "type": Namespace + "/managedClusters/upgradeProfiles",
		"properties": object{
			"controlPlaneProfile": object{"kubernetesVersion": firstOf(cluster.Status.CurrentKubernetesVersion, cluster.ServedVersion()), "osType": "Linux", "upgrades": upgrades},
			"agentPoolProfiles":   pools,
		},
	})
}

// poolUpgrades are the versions that a pool may go on to: up to that of the API
// that is served.
func poolUpgrades(from, served string) (versions []release.Version) {
	for _, version := range release.Versions() {
		if less(from, version.Version) && !less(served, version.Version) {
			versions = append(versions, version)
		}
	}
	return versions
}

func profileUpgrades(versions []release.Version) []object {
	entries := []object{}
	for _, version := range versions {
		entries = append(entries, object{"kubernetesVersion": version.Version, "isPreview": version.Preview})
	}
	return entries
}

// availableVersions lists the versions that a new pool may have: that of the control plane.
func (p *Provider) availableVersions(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.cluster(r)
	if err != nil {
		return err
	}
	id := ClusterID(cluster.Spec.SubscriptionID, cluster.Spec.ResourceGroup, cluster.Spec.Name)
	return arm.WriteJSON(w, http.StatusOK, object{
		"id": wireID(id) + "/availableAgentPoolVersions", "name": "default", "type": Namespace + "/managedClusters/availableAgentPoolVersions",
		"properties": object{"agentPoolVersions": []object{{"default": true, "kubernetesVersion": cluster.ServedVersion()}}},
	})
}
