package property

import "berth.dev/berth/internal/arm"

// nodeProperties are about the nodes of all pools.
func nodeProperties(p string) []arm.Property {
	const windows = "Windows nodes are not built"
	return []arm.Property{
		acts(p+"linuxProfile", arm.Object),
		inert(p+"linuxProfile.adminUsername", arm.String, "nodes have no SSH server"),
		acts(p+"linuxProfile.ssh", arm.Object),
		inert(p+"linuxProfile.ssh.publicKeys", arm.Any, "nodes have no SSH server"),
		acts(p+"windowsProfile", arm.Object),
		refused(p+"windowsProfile.adminUsername", arm.String, windows),
		refused(p+"windowsProfile.adminPassword", arm.String, windows).WriteOnly(),
		inertOnly(p+"windowsProfile.licenseType", arm.String, windows, "None").OneOf("None", "Windows_Server"),
		inertOnly(p+"windowsProfile.enableCSIProxy", arm.Boolean, windows, true, false),
		acts(p+"windowsProfile.gmsaProfile", arm.Object),
		refused(p+"windowsProfile.gmsaProfile.enabled", arm.Boolean, windows),
		refused(p+"windowsProfile.gmsaProfile.dnsServer", arm.String, windows), refused(p+"windowsProfile.gmsaProfile.rootDomainName", arm.String, windows),
		acts(p+"nodeResourceGroupProfile", arm.Object),
		inertOnly(p+"nodeResourceGroupProfile.restrictionLevel", arm.String, "locking the node resource group is not built", "Unrestricted").OneOf("Unrestricted", "ReadOnly"),
		acts(p+"bootstrapProfile", arm.Object),
		inertOnly(p+"bootstrapProfile.artifactSource", arm.String, "the node image holds all images of the system, which both mean here", "Direct", "Cache").OneOf("Direct", "Cache"),
		refused(p+"bootstrapProfile.containerRegistryId", arm.String, "only the artifact source Direct is built").Like(anID, idForm),
		refused(p+"diskEncryptionSetID", arm.String, "disk encryption sets are not built").Like(anID, idForm),
		acts(p+"storageProfile", arm.Object),
		acts(p+"storageProfile.diskCSIDriver", arm.Object),
		inertOnly(p+"storageProfile.diskCSIDriver.enabled", arm.Boolean, "disks are served in every cluster, and switching their driver off is not built", true),
		acts(p+"storageProfile.fileCSIDriver", arm.Object),
		inertOnly(p+"storageProfile.fileCSIDriver.enabled", arm.Boolean, "no driver of file shares is built yet; the default is accepted", true, false),
		acts(p+"storageProfile.blobCSIDriver", arm.Object),
		refused(p+"storageProfile.blobCSIDriver.enabled", arm.Boolean, "no driver of blobs is built"),
		acts(p+"storageProfile.snapshotController", arm.Object),
		inertOnly(p+"storageProfile.snapshotController.enabled", arm.Boolean, "no snapshot controller is built yet; the default is accepted", true, false),
	}
}

// securityProperties are those of the security profile.
func securityProperties(p string) []arm.Property {
	s := p + "securityProfile."
	const kms = "encryption with a key vault is not built"
	return []arm.Property{
		acts(p+"securityProfile", arm.Object),
		acts(s+"defender", arm.Object),
		refused(s+"defender.logAnalyticsWorkspaceResourceId", arm.String, "monitoring of threats is not built").Like(anID, idForm),
		acts(s+"defender.securityMonitoring", arm.Object),
		refused(s+"defender.securityMonitoring.enabled", arm.Boolean, "monitoring of threats is not built"),
		refused(s+"defender.securityGating", arm.Any, "gating of images is not built"),
		acts(s+"azureKeyVaultKms", arm.Object),
		refused(s+"azureKeyVaultKms.enabled", arm.Boolean, kms),
		refused(s+"azureKeyVaultKms.keyId", arm.String, kms).Like(aURL, "the URL of a key with its version"),
		inertOnly(s+"azureKeyVaultKms.keyVaultNetworkAccess", arm.String, kms, "Public").OneOf("Public", "Private"),
		refused(s+"azureKeyVaultKms.keyVaultResourceId", arm.String, kms).Like(anID, idForm),
		acts(s+"workloadIdentity", arm.Object),
		refused(s+"workloadIdentity.enabled", arm.Boolean, "workload identities are not built"),
		acts(s+"imageCleaner", arm.Object),
		refused(s+"imageCleaner.enabled", arm.Boolean, "cleaning of images by a scanner is not built"),
		inertOnly(s+"imageCleaner.intervalHours", arm.Integer, "cleaning of images by a scanner is not built", 24.0, 48.0, 168.0).Between(24, 2160),
		refused(s+"customCATrustCertificates", arm.Array, "authorities of one's own on nodes are not built").AtMost(10),
		acts(s+"customCATrustCertificates[]", arm.String).Like(inBase64, base64Form),
		refused(s+"nodeRestriction", arm.Any, "it cannot be set: every node may only change itself"),
		refused(s+"kubernetesResourceObjectEncryptionProfile", arm.Any, kms),
		refused(s+"imageIntegrity", arm.Any, "checking of signatures of images is not built"),
	}
}
