package containerservice

import (
	"strings"

	"berth.dev/berth/internal/release"
)

// convertVersion sets the cluster's Kubernetes version. A minor means its newest
// patch when it comes to the cluster, and the patch that it has ever after.
func convertVersion(d *draft, requested string) {
	spec := &d.next.Spec
	path := d.body.Path("properties.kubernetesVersion")
	if d.old != nil && (requested == "" || means(requested, spec.KubernetesVersion)) {
		if requested != "" {
			spec.RequestedVersion = trimVersion(requested)
		}
		return
	}
	version, known := release.Resolve(trimVersion(requested))
	if !known {
		d.fields.Add("K8sVersionNotSupported", path,
			"The Kubernetes version '%.40s' is not supported. Supported are: %s.", requested, supportedVersions())
		return
	}
	if d.old == nil {
		spec.KubernetesVersion, spec.RequestedVersion = version.Version, trimVersion(requested)
		if requested == "" {
			spec.RequestedVersion = version.Minor
		}
		return
	}
	d.upgradeTo(version, requested, path)
}

// version sets the pool's Kubernetes version: that of the control plane.
func (p poolDraft) version(requested string) {
	path := p.at("orchestratorVersion")
	if requested == "" || p.old != nil && means(requested, p.old.OrchestratorVersion) {
		return
	}
	version, known := release.Resolve(trimVersion(requested))
	switch {
	case !known:
		p.fields.Add("AgentPoolK8sVersionNotSupported", path,
			"The Kubernetes version '%.40s' is not supported. Supported are: %s.", requested, supportedVersions())
	case p.old != nil:
		p.moveTo(version.Version, path)
	case p.next.Spec.KubernetesVersion != "" && !means(requested, p.next.ServedVersion()):
		p.fields.Add("NodePoolMcVersionIncompatible", path,
			"The agent pool '%s' is to have Kubernetes %s, the control plane serves %s: a new pool has the version of the control plane.", p.pool.Name, version.Version, p.next.ServedVersion())
	}
}

// means says whether a caller's version, full or a minor, is met by a full one.
func means(requested, full string) bool {
	requested = trimVersion(requested)
	return requested == full || strings.Count(requested, ".") == 1 && strings.HasPrefix(full, requested+".")
}

func trimVersion(version string) string {
	return strings.TrimPrefix(strings.TrimPrefix(version, "v"), "V")
}

func supportedVersions() string {
	var names []string
	for _, version := range release.Versions() {
		names = append(names, version.Version)
	}
	return strings.Join(names, ", ")
}
