package property

import "berth.dev/berth/internal/arm"

// addonProperties are those of what a cluster may have besides itself.
func addonProperties(p string) []arm.Property {
	const metrics, mesh, ingress = "monitoring is not built", "service meshes are not built", "managed ingress is not built"
	m, i := p+"serviceMeshProfile.", p+"ingressProfile."
	return []arm.Property{
		refused(p+"addonProfiles", arm.Map, "add-ons are not built"),
		acts(p+"addonProfiles{}", arm.Object), acts(p+"addonProfiles{}.enabled", arm.Boolean),
		acts(p+"addonProfiles{}.config", arm.Map), acts(p+"addonProfiles{}.config{}", arm.String), readOnly(p + "addonProfiles{}.identity"),
		acts(p+"ingressProfile", arm.Object),
		acts(i+"webAppRouting", arm.Object), readOnly(i + "webAppRouting.identity"),
		refused(i+"webAppRouting.enabled", arm.Boolean, ingress),
		refused(i+"webAppRouting.dnsZoneResourceIds", arm.Array, ingress), acts(i+"webAppRouting.dnsZoneResourceIds[]", arm.String).Like(anID, idForm),
		acts(i+"webAppRouting.nginx", arm.Object),
		refused(i+"webAppRouting.nginx.defaultIngressControllerType", arm.String, ingress).OneOf("AnnotationControlled", "External", "Internal", "None"),
		refused(i+"applicationLoadBalancer", arm.Any, ingress), refused(i+"gatewayAPI", arm.Any, "the gateway API is not built"),
		acts(p+"serviceMeshProfile", arm.Object),
		inertOnly(m+"mode", arm.String, mesh, "Disabled").OneOf("Disabled", "Istio"),
		acts(m+"istio", arm.Object), acts(m+"istio.certificateAuthority", arm.Object),
		refused(m+"istio.certificateAuthority.plugin", arm.Any, mesh),
		acts(m+"istio.components", arm.Object),
		refused(m+"istio.components.egressGateways", arm.Any, mesh), refused(m+"istio.components.ingressGateways", arm.Any, mesh),
		refused(m+"istio.components.proxyRedirectionMechanism", arm.String, mesh),
		refused(m+"istio.revisions", arm.Array, mesh).AtMost(2), acts(m+"istio.revisions[]", arm.String),
		acts(p+"workloadAutoScalerProfile", arm.Object),
		acts(p+"workloadAutoScalerProfile.keda", arm.Object),
		refused(p+"workloadAutoScalerProfile.keda.enabled", arm.Boolean, "scaling of workloads by events is not built"),
		acts(p+"workloadAutoScalerProfile.verticalPodAutoscaler", arm.Object),
		refused(p+"workloadAutoScalerProfile.verticalPodAutoscaler.enabled", arm.Boolean, "vertical scaling of pods is not built"),
		refused(p+"workloadAutoScalerProfile.verticalPodAutoscaler.addonAutoscaling", arm.String, "vertical scaling of pods is not built").OneOf("Enabled", "Disabled"),
		acts(p+"azureMonitorProfile", arm.Object), acts(p+"azureMonitorProfile.metrics", arm.Object),
		refused(p+"azureMonitorProfile.metrics.enabled", arm.Boolean, metrics),
		acts(p+"azureMonitorProfile.metrics.kubeStateMetrics", arm.Object),
		refused(p+"azureMonitorProfile.metrics.kubeStateMetrics.metricLabelsAllowlist", arm.String, metrics),
		refused(p+"azureMonitorProfile.metrics.kubeStateMetrics.metricAnnotationsAllowList", arm.String, metrics),
		refused(p+"azureMonitorProfile.containerInsights", arm.Any, metrics), refused(p+"azureMonitorProfile.appMonitoring", arm.Any, metrics),
		acts(p+"metricsProfile", arm.Object), acts(p+"metricsProfile.costAnalysis", arm.Object),
		refused(p+"metricsProfile.costAnalysis.enabled", arm.Boolean, "cost analysis is not built"),
	}
}

// newerProperties came after the api-version 2025-02-01. The table names what
// holds them; they are refused or recorded whole.
func newerProperties(p string) []arm.Property {
	return []arm.Property{
		inertOnly(p+"nodeProvisioningProfile", arm.Any, "node auto-provisioning is not built", "Manual"),
		refused(p+"aiToolchainOperatorProfile", arm.Any, "the AI toolchain operator is not built"),
		refused(p+"creationData", arm.Any, "cluster snapshots are not built"),
		refused(p+"enableNamespaceResources", arm.Boolean, "namespaces as ARM resources are not built"),
		refused(p+"safeguardsProfile", arm.Any, "deployment safeguards are not built"),
		refused(p+"hostedSystemProfile", arm.Any, "hosted system components are not built"),
		refused(p+"schedulerProfile", arm.Any, "settings of the scheduler are not built"),
	}
}
