package property

import (
	"slices"

	"berth.dev/berth/internal/arm"
)

// Pool is every property of an agent pool as a resource of its own.
func Pool() []arm.Property {
	table := []arm.Property{
		readOnly("id"), readOnly("name"), readOnly("type"), readOnly("systemData"), readOnly("eTag"),
		acts("properties", arm.Object),
	}
	return append(table, poolProperties("properties.")...)
}

// poolProperties is every property of an agent pool, below a path.
func poolProperties(p string) []arm.Property {
	return slices.Concat(rollProperties(p+"upgradeSettings"), kubeletProperties(p+"kubeletConfig"), systemProperties(p+"linuxOSConfig"), []arm.Property{
		acts(p+"name", arm.String),
		acts(p+"count", arm.Integer), acts(p+"vmSize", arm.String), acts(p+"mode", arm.String),
		acts(p+"osDiskSizeGB", arm.Integer), acts(p+"maxPods", arm.Integer), acts(p+"orchestratorVersion", arm.String),
		acts(p+"nodeLabels", arm.Map), acts(p+"nodeLabels{}", arm.String),
		acts(p+"nodeTaints", arm.Array), acts(p+"nodeTaints[]", arm.String),
		acts(p+"tags", arm.Map), acts(p+"tags{}", arm.String),

		// These are the oldest api-versions' own.
		inert(p+"dnsPrefix", arm.String, "nodes have no public names"), inert(p+"ports", arm.Any, "nodes have no public names"), readOnly(p + "fqdn"),
		inertOnly(p+"storageProfile", arm.String, "storage accounts are not built", "ManagedDisks").OneOf("ManagedDisks", "StorageAccount"),

		readOnly(p + "currentOrchestratorVersion"), readOnly(p + "nodeImageVersion"), readOnly(p + "provisioningState"),
		readOnly(p + "eTag"), readOnly(p + "status"),
		acts(p+"scaleDownMode", arm.String).OneOf("Delete", "Deallocate"),
		acts(p+"powerState", arm.Object),
		acts(p+"powerState.code", arm.String).OneOf("Running", "Stopped"),

		inertOnly(p+"type", arm.String, "only VirtualMachineScaleSets is built", "VirtualMachineScaleSets").OneOf("VirtualMachineScaleSets", "AvailabilitySet", "VirtualMachines"),
		inertOnly(p+"osType", arm.String, "Windows nodes are not built: they need virtual machines and a Windows node image, and the machines here share their host's Linux kernel", "Linux").OneOf("Linux", "Windows"),
		inertOnly(p+"osSKU", arm.String, "only the standard node image is built", "Ubuntu").
			OneOf("Ubuntu", "Ubuntu2204", "Ubuntu2404", "AzureLinux", "AzureLinux3", "CBLMariner", "Mariner", "Windows2019", "Windows2022", "Windows2025"),
		inertOnly(p+"osDiskType", arm.String, "every disk is a file of the host, which both names mean here", "Managed", "Ephemeral").OneOf("Managed", "Ephemeral"),
		inertOnly(p+"kubeletDiskType", arm.String, "temporary disks are not built", "OS").OneOf("OS", "Temporary"),
		inertOnly(p+"workloadRuntime", arm.String, "only containers are built", "OCIContainer").OneOf("OCIContainer", "WasmWasi", "KataMshvVmIsolation", "KataVmIsolation"),
		inertOnly(p+"scaleSetPriority", arm.String, "spot nodes are not built", "Regular").OneOf("Regular", "Spot"),
		inertOnly(p+"scaleSetEvictionPolicy", arm.String, "spot nodes are not built", "Delete").OneOf("Delete", "Deallocate"),
		inertOnly(p+"spotMaxPrice", arm.Number, "spot nodes are not built", -1.0),

		refused(p+"enableAutoScaling", arm.Boolean, "the cluster autoscaler is not built"),
		refused(p+"minCount", arm.Integer, "the cluster autoscaler is not built").Between(0, 1000),
		refused(p+"maxCount", arm.Integer, "the cluster autoscaler is not built").Between(0, 1000),
		acts(p+"availabilityZones", arm.Array),
		acts(p+"availabilityZones[]", arm.String).OneOf("1", "2", "3"),
		refused(p+"enableNodePublicIP", arm.Boolean, "public addresses of nodes are not built"),
		refused(p+"nodePublicIPPrefixID", arm.String, "public addresses of nodes are not built").Like(anID, idForm),
		acts(p+"vnetSubnetID", arm.String).Like(anID, idForm),
		acts(p+"podSubnetID", arm.String).Like(anID, idForm),
		inertOnly(p+"podIPAllocationMode", arm.String, "every node takes the addresses of its pods one by one, as many as maxPods, when it is made", "DynamicIndividual").OneOf("DynamicIndividual", "StaticBlock"),
		acts(p+"networkProfile", arm.Object),
		refused(p+"networkProfile.allowedHostPorts", arm.Array, "opening of ports of nodes is not built"),
		acts(p+"networkProfile.allowedHostPorts[]", arm.Object),
		acts(p+"networkProfile.allowedHostPorts[].portStart", arm.Integer).Between(1, 65535), acts(p+"networkProfile.allowedHostPorts[].portEnd", arm.Integer).Between(1, 65535),
		acts(p+"networkProfile.allowedHostPorts[].protocol", arm.String).OneOf("TCP", "UDP"),
		refused(p+"networkProfile.applicationSecurityGroups", arm.Array, "application security groups are not built"),
		acts(p+"networkProfile.applicationSecurityGroups[]", arm.String).Like(anID, idForm),
		refused(p+"networkProfile.nodePublicIPTags", arm.Array, "public addresses of nodes are not built"),
		acts(p+"networkProfile.nodePublicIPTags[]", arm.Object),
		acts(p+"networkProfile.nodePublicIPTags[].ipTagType", arm.String), acts(p+"networkProfile.nodePublicIPTags[].tag", arm.String),
		refused(p+"proximityPlacementGroupID", arm.String, "proximity placement groups are not built").Like(anID, idForm),
		refused(p+"capacityReservationGroupID", arm.String, "capacity reservations are not built").Like(anID, idForm),
		refused(p+"hostGroupID", arm.String, "dedicated hosts are not built").Like(anID, idForm),
		refused(p+"enableEncryptionAtHost", arm.Boolean, "encryption at the host is not built"),
		refused(p+"enableUltraSSD", arm.Boolean, "ultra disks are not built"),
		refused(p+"enableFIPS", arm.Boolean, "FIPS images are not built"),
		refused(p+"gpuInstanceProfile", arm.String, "GPUs are not built").OneOf("MIG1g", "MIG2g", "MIG3g", "MIG4g", "MIG7g"),
		acts(p+"gpuProfile", arm.Object),
		refused(p+"gpuProfile.driver", arm.String, "GPUs are not built").OneOf("Install", "None"),
		refused(p+"gpuProfile.driverType", arm.String, "GPUs are not built"),
		acts(p+"windowsProfile", arm.Object),
		refused(p+"windowsProfile.disableOutboundNat", arm.Boolean, "Windows nodes are not built"),
		refused(p+"messageOfTheDay", arm.String, "nodes have no logins to greet").Like(inBase64, base64Form),
		acts(p+"creationData", arm.Object),
		refused(p+"creationData.sourceResourceId", arm.String, "snapshots are not built").Like(anID, idForm),
		refused(p+"virtualMachinesProfile", arm.Any, "only VirtualMachineScaleSets is built"),
		refused(p+"virtualMachineNodesStatus", arm.Any, "only VirtualMachineScaleSets is built"),
		refused(p+"gatewayProfile", arm.Any, "gateway pools are not built"),
		refused(p+"artifactStreamingProfile", arm.Any, "artifact streaming is not built"),
		refused(p+"nodeInitializationTaints", arm.Any, "initialization taints are not built"),
		acts(p+"securityProfile", arm.Object),
		refused(p+"securityProfile.enableVTPM", arm.Boolean, "virtual security chips are not built"),
		refused(p+"securityProfile.enableSecureBoot", arm.Boolean, "secure boot is not built"),
		inertOnly(p+"securityProfile.sshAccess", arm.String, "nodes have no SSH server", "LocalUser", "Disabled"),
		inertOnly(p+"localDNSProfile", arm.Any, "local DNS is not built", "Disabled"),
	})
}

// rollProperties are how the nodes of a pool are replaced, below a path.
func rollProperties(p string) []arm.Property {
	return []arm.Property{
		acts(p, arm.Object),
		acts(p+".maxSurge", arm.String).Like(aShare, shareForm), acts(p+".maxUnavailable", arm.String).Like(aShare, shareForm),
		acts(p+".drainTimeoutInMinutes", arm.Integer).Between(1, 1440),
		acts(p+".nodeSoakDurationInMinutes", arm.Integer).Between(0, 30),
		acts(p+".undrainableNodeBehavior", arm.String).OneOf("Schedule", "Cordon"),
	}
}
