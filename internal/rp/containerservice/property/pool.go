package property

import "berth.dev/berth/internal/arm"

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
	return []arm.Property{
		acts(p+"name", arm.String),
		acts(p+"count", arm.Integer), acts(p+"vmSize", arm.String), acts(p+"mode", arm.String),
		acts(p+"osDiskSizeGB", arm.Integer), acts(p+"maxPods", arm.Integer), acts(p+"orchestratorVersion", arm.String),
		acts(p+"nodeLabels", arm.Map), acts(p+"nodeLabels{}", arm.String),
		acts(p+"nodeTaints", arm.Array), acts(p+"nodeTaints[]", arm.String),
		acts(p+"tags", arm.Map), acts(p+"tags{}", arm.String),

		readOnly(p + "currentOrchestratorVersion"), readOnly(p + "nodeImageVersion"), readOnly(p + "provisioningState"),
		readOnly(p + "eTag"), readOnly(p + "status"),
		acts(p+"powerState", arm.Object),
		inertOnly(p+"powerState.code", arm.String, "stopping a pool is not built", "Running"),

		inertOnly(p+"type", arm.String, "only VirtualMachineScaleSets is built", "VirtualMachineScaleSets"),
		inertOnly(p+"osType", arm.String, "Windows nodes are not built", "Linux"),
		inertOnly(p+"osSKU", arm.String, "only the standard node image is built", "Ubuntu"),
		inertOnly(p+"osDiskType", arm.String, "every disk is a file of the host, which both names mean here", "Managed", "Ephemeral"),
		inertOnly(p+"kubeletDiskType", arm.String, "temporary disks are not built", "OS"),
		inertOnly(p+"workloadRuntime", arm.String, "only containers are built", "OCIContainer"),
		inertOnly(p+"scaleDownMode", arm.String, "deallocating nodes is not built", "Delete"),
		inertOnly(p+"scaleSetPriority", arm.String, "spot nodes are not built", "Regular"),
		inertOnly(p+"scaleSetEvictionPolicy", arm.String, "spot nodes are not built", "Delete"),
		inertOnly(p+"spotMaxPrice", arm.Number, "spot nodes are not built", -1.0),
		inert(p+"upgradeSettings", arm.Any, "upgrades are not built; the settings are kept for them"),

		refused(p+"enableAutoScaling", arm.Boolean, "the cluster autoscaler is not built"),
		refused(p+"minCount", arm.Integer, "the cluster autoscaler is not built"),
		refused(p+"maxCount", arm.Integer, "the cluster autoscaler is not built"),
		refused(p+"availabilityZones", arm.Any, "availability zones are not built"),
		refused(p+"enableNodePublicIP", arm.Boolean, "public addresses of nodes are not built"),
		refused(p+"nodePublicIPPrefixID", arm.String, "public addresses of nodes are not built"),
		refused(p+"vnetSubnetID", arm.String, "subnets of one's own are not built"),
		refused(p+"podSubnetID", arm.String, "subnets of one's own are not built"),
		inertOnly(p+"podIPAllocationMode", arm.String, "it goes with subnets of one's own, which are not built", "DynamicIndividual"),
		refused(p+"networkProfile", arm.Any, "network profiles of pools are not built"),
		refused(p+"proximityPlacementGroupID", arm.String, "proximity placement groups are not built"),
		refused(p+"capacityReservationGroupID", arm.String, "capacity reservations are not built"),
		refused(p+"hostGroupID", arm.String, "dedicated hosts are not built"),
		refused(p+"enableEncryptionAtHost", arm.Boolean, "encryption at the host is not built"),
		refused(p+"enableUltraSSD", arm.Boolean, "ultra disks are not built"),
		refused(p+"enableFIPS", arm.Boolean, "FIPS images are not built"),
		refused(p+"gpuInstanceProfile", arm.String, "GPUs are not built"),
		refused(p+"gpuProfile", arm.Any, "GPUs are not built"),
		refused(p+"kubeletConfig", arm.Any, "settings of the kubelet are not built"),
		refused(p+"linuxOSConfig", arm.Any, "settings of the operating system are not built"),
		refused(p+"windowsProfile", arm.Any, "Windows nodes are not built"),
		refused(p+"messageOfTheDay", arm.String, "nodes have no logins to greet"),
		refused(p+"creationData", arm.Any, "snapshots are not built"),
		refused(p+"virtualMachinesProfile", arm.Any, "only VirtualMachineScaleSets is built"),
		refused(p+"virtualMachineNodesStatus", arm.Any, "only VirtualMachineScaleSets is built"),
		refused(p+"gatewayProfile", arm.Any, "gateway pools are not built"),
		refused(p+"artifactStreamingProfile", arm.Any, "artifact streaming is not built"),
		refused(p+"nodeInitializationTaints", arm.Any, "initialization taints are not built"),
		inertOnly(p+"securityProfile", arm.Any, "secure boot and vTPM are not built", "LocalUser", "Disabled"),
		inertOnly(p+"localDNSProfile", arm.Any, "local DNS is not built", "Disabled"),
	}
}
