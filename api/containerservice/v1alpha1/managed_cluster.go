package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// ManagedClusterFinalizer holds a managed cluster until all that was made for it is gone.
const ManagedClusterFinalizer = "containerservice.berth.dev/managed-cluster"

// ManagedCluster is one Kubernetes cluster with a control plane that its owner
// never sees. The spec is what callers asked for, running operations included;
// the status is what controllers observed.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=mc
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.spec.resourceGroup`
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.currentKubernetesVersion`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.provisioningState`
// +kubebuilder:printcolumn:name="Power",type=string,JSONPath=`.status.powerState`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.progress[0].phase`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.address`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ManagedCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ManagedClusterSpec   `json:"spec"`
	Status ManagedClusterStatus `json:"status,omitempty"`
}

// ManagedClusterSpec is the desired state of a cluster.
// +kubebuilder:validation:XValidation:rule="!has(self.agentPools) || size(self.agentPools) == 0 || self.agentPools.exists(p, p.mode == 'System')",message="a non-empty list of agent pools needs one of mode System"
type ManagedClusterSpec struct {
	// SubscriptionID, ResourceGroup and Name make the ARM id, in the casing of
	// the caller who created the cluster.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="subscriptionID is immutable"
	SubscriptionID string `json:"subscriptionID"`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="resourceGroup is immutable"
	ResourceGroup string `json:"resourceGroup"`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="name is immutable"
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9]$|^[a-zA-Z0-9][-_a-zA-Z0-9]{0,61}[a-zA-Z0-9]$`
	Name string `json:"name"`
	// Incarnation is a random word minted with the object. It names everything
	// external (namespaces, cgroups, directories, the etcd prefix), so that a
	// cluster deleted and made again never meets its former self.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="incarnation is immutable"
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]{9}$`
	Incarnation string `json:"incarnation"`
	// Location is the region's name.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="location is immutable"
	Location string `json:"location"`
	// Tags are the caller's own key and value pairs.
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
	// Tier is the service level: Free, Standard or Premium.
	// +kubebuilder:validation:Enum=Free;Standard;Premium
	Tier string `json:"tier"`
	// IdentityType is None, SystemAssigned or UserAssigned.
	// +kubebuilder:validation:Enum=None;SystemAssigned;UserAssigned
	IdentityType string `json:"identityType"`
	// IdentityPrincipalID is the object id of the system-assigned identity.
	// +optional
	IdentityPrincipalID string `json:"identityPrincipalID,omitempty"`
	// UserAssignedIdentityID is the ARM id of the identity of type UserAssigned,
	// in the casing of the caller.
	// +optional
	UserAssignedIdentityID string `json:"userAssignedIdentityID,omitempty"`
	// UserAssignedPrincipalID and UserAssignedClientID are that identity's ids.
	// +optional
	UserAssignedPrincipalID string `json:"userAssignedPrincipalID,omitempty"`
	// +optional
	UserAssignedClientID string `json:"userAssignedClientID,omitempty"`
	// FormerPrincipals are the object ids of system-assigned identities that the
	// cluster gave up. Its controller takes their roles away, then their names.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +optional
	FormerPrincipals []string `json:"formerPrincipals,omitempty"`
	// KubeletIdentity is the user-assigned identity of the nodes; without one
	// they have an identity of the cluster's own.
	// +optional
	KubeletIdentity *KubeletIdentity `json:"kubeletIdentity,omitempty"`
	// KubernetesVersion is the full version of the control plane, e.g. 1.35.4.
	// +kubebuilder:validation:Pattern=`^[0-9]+\.[0-9]+\.[0-9]+$`
	KubernetesVersion string `json:"kubernetesVersion"`
	// RequestedVersion is the version as the caller wrote it (1.35 or 1.35.4).
	RequestedVersion string `json:"requestedVersion"`
	// Upgrade is the last upgrade of the control plane to another minor.
	// +optional
	Upgrade *ControlPlaneUpgrade `json:"upgrade,omitempty"`
	// UpgradeOverride lets upgrades begin that preflight would hold up.
	// +optional
	UpgradeOverride *UpgradeOverride `json:"upgradeOverride,omitempty"`
	// UpgradeChannel is the channel of automatic upgrades that a caller chose;
	// empty is none.
	// +kubebuilder:validation:Enum=none;patch;stable;rapid
	// +optional
	UpgradeChannel string `json:"upgradeChannel,omitempty"`
	// NodeOSUpgradeChannel says whether nodes get a new node image by themselves;
	// empty is None.
	// +kubebuilder:validation:Enum=None;NodeImage
	// +optional
	NodeOSUpgradeChannel string `json:"nodeOSUpgradeChannel,omitempty"`
	// DNSPrefix is the first label of the cluster's FQDN.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="dnsPrefix is immutable"
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9]$|^[a-zA-Z0-9][-a-zA-Z0-9]{0,52}[a-zA-Z0-9]$`
	DNSPrefix string `json:"dnsPrefix"`
	// NodeResourceGroup is the name of the group that holds what the cluster made.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="nodeResourceGroup is immutable"
	NodeResourceGroup string `json:"nodeResourceGroup"`
	// Network is the cluster's address plan.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the network profile is immutable"
	Network NetworkProfile `json:"network"`
	// Outbound are the public addresses that traffic leaves with.
	// +optional
	Outbound OutboundProfile `json:"outbound,omitzero"`
	// AgentPools are the pools of nodes, keyed by name.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	// +optional
	AgentPools []AgentPoolProfile `json:"agentPools,omitempty"`
	// DisableRunCommand refuses to run callers' commands in pods of the cluster.
	// +optional
	DisableRunCommand bool `json:"disableRunCommand,omitempty"`
	// AuthorizedIPRanges are the ranges in canonical CIDR notation that reach the
	// API server beside the cluster's own outbound addresses; none: all do.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	// +optional
	AuthorizedIPRanges []string `json:"authorizedIPRanges,omitempty"`
	// Operations are the running operations, keyed by scope.
	// +listType=map
	// +listMapKey=scope
	// +kubebuilder:validation:MaxItems=101
	// +optional
	Operations []meta.RunningOperation `json:"operations,omitempty"`
	// Queue are operations on pools that wait for what stands in their way.
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=10
	// +optional
	Queue []meta.QueuedOperation `json:"queue,omitempty"`
	// Aborted are the scopes whose last operation gave up on a caller's wish.
	// +listType=map
	// +listMapKey=scope
	// +kubebuilder:validation:MaxItems=101
	// +optional
	Aborted []meta.AbortedOperation `json:"aborted,omitempty"`
	// Restore is the last backup that the cluster's data were, or are to be, replaced by.
	// +optional
	Restore *Restore `json:"restore,omitempty"`
	// PowerState is Stopped for a cluster that keeps its data, address and
	// nodes' disks and nothing else; empty is Running.
	// +optional
	PowerState meta.PowerState `json:"powerState,omitempty"`
	// PowerSchedules say when the cluster stops and starts by itself.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=10
	// +optional
	PowerSchedules []PowerSchedule `json:"powerSchedules,omitempty"`
	// PowerSchedulesDone is the latest due time of any schedule that was seen to:
	// nothing that was due by then is.
	// +optional
	PowerSchedulesDone *metav1.Time `json:"powerSchedulesDone,omitempty"`
	// Rotations are the last replacements of authorities and keys that were asked for.
	// +listType=map
	// +listMapKey=kind
	// +kubebuilder:validation:MaxItems=3
	// +optional
	Rotations []Rotation `json:"rotations,omitempty"`
}

// AgentPoolProfile is the desired state of one pool of equal nodes.
type AgentPoolProfile struct {
	// Name of the pool.
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]{0,11}$`
	Name string `json:"name"`
	// Incarnation is a random word minted with the pool.
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]{9}$`
	Incarnation string `json:"incarnation"`
	// PowerState is Stopped for a pool whose machines keep their disks and
	// nothing else; empty is Running.
	// +optional
	PowerState meta.PowerState `json:"powerState,omitempty"`
	// Count is the number of nodes.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Count int32 `json:"count"`
	// VMSize is a name of the size catalog, e.g. Standard_DS2_v2.
	VMSize string `json:"vmSize"`
	// OSDiskSizeGB is the size of a node's disk in GiB.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2048
	OSDiskSizeGB int32 `json:"osDiskSizeGB"`
	// MaxPods is the most pods a node takes.
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=250
	MaxPods int32 `json:"maxPods"`
	// VNetSubnetID is the ARM id of the subnet of the nodes, in the casing of the
	// caller; empty for the subnet of the network that was made for the cluster.
	// +optional
	VNetSubnetID string `json:"vnetSubnetID,omitempty"`
	// PodSubnetID is the ARM id of the subnet of the pods, of the same virtual
	// network; empty for where the plugin has them otherwise.
	// +optional
	PodSubnetID string `json:"podSubnetID,omitempty"`
	// Mode is System (runs the cluster's own add-ons) or User.
	// +kubebuilder:validation:Enum=System;User
	Mode string `json:"mode"`
	// OrchestratorVersion is the full Kubernetes version of the nodes.
	// +kubebuilder:validation:Pattern=`^[0-9]+\.[0-9]+\.[0-9]+$`
	OrchestratorVersion string `json:"orchestratorVersion"`
	// PreviousOrchestratorVersion is what OrchestratorVersion was before its last
	// upgrade: what a rollback of the pool goes back to.
	// +optional
	PreviousOrchestratorVersion string `json:"previousOrchestratorVersion,omitempty"`
	// NodeImageVersion is the name of the node image that a caller wanted all
	// nodes to have; empty while nobody did, which leaves older ones as they are.
	// +optional
	NodeImageVersion string `json:"nodeImageVersion,omitempty"`
	// UpgradeSettings say how nodes are replaced.
	// +optional
	UpgradeSettings PoolUpgradeSettings `json:"upgradeSettings,omitzero"`
	// ScaleDownMode is what becomes of nodes that are too many; empty is Delete.
	// +optional
	ScaleDownMode ScaleDownMode `json:"scaleDownMode,omitempty"`
	// LeavingMachines are the names of the machines that a caller wanted to go,
	// whatever others do; the names of those that are gone have no effect.
	// +listType=set
	// +kubebuilder:validation:MaxItems=1000
	// +optional
	LeavingMachines []string `json:"leavingMachines,omitempty"`
	// NodeLabels are kept on every node of the pool.
	// +optional
	NodeLabels map[string]string `json:"nodeLabels,omitempty"`
	// NodeTaints are key=value:effect, kept on every node of the pool.
	// +listType=atomic
	// +optional
	NodeTaints []string `json:"nodeTaints,omitempty"`
	// AvailabilityZones are the failure domains, 1 to 3, that the nodes are spread
	// over evenly; empty for none.
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	// +optional
	AvailabilityZones []string `json:"availabilityZones,omitempty"`
	// KubeletConfig are settings of the nodes' kubelets.
	// +optional
	KubeletConfig *KubeletConfig `json:"kubeletConfig,omitempty"`
	// Sysctls are kernel settings of the nodes, by their names (net.core.somaxconn).
	// +optional
	Sysctls map[string]string `json:"sysctls,omitempty"`
	// Tags are the caller's own key and value pairs.
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
}

// ManagedClusterStatus is what was observed of a cluster.
type ManagedClusterStatus struct {
	// ObservedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// ProvisioningState is derived from operations and conditions:
	// Creating, Updating, Scaling, Deleting, Succeeded or Failed.
	// +optional
	ProvisioningState string `json:"provisioningState,omitempty"`
	// PowerState is Stopped once nothing of the cluster runs, and Running otherwise.
	// +optional
	PowerState meta.PowerState `json:"powerState,omitempty"`
	// PowerSchedules is what was observed of each power schedule.
	// +listType=map
	// +listMapKey=name
	// +optional
	PowerSchedules []PowerScheduleStatus `json:"powerSchedules,omitempty"`
	// FQDN is the name of the API server in the install zone.
	// +optional
	FQDN string `json:"fqdn,omitempty"`
	// Address is the public address of the API server.
	// +optional
	Address string `json:"address,omitempty"`
	// OutboundAddress is the first public address that the cluster's traffic leaves with.
	// +optional
	OutboundAddress string `json:"outboundAddress,omitempty"`
	// OutboundAddresses are all of them.
	// +listType=atomic
	// +optional
	OutboundAddresses []string `json:"outboundAddresses,omitempty"`
	// CurrentKubernetesVersion is the version whose API is served: that before an
	// upgrade as long as the new binaries emulate it.
	// +optional
	CurrentKubernetesVersion string `json:"currentKubernetesVersion,omitempty"`
	// Upgrade is there while the control plane emulates the minor before.
	// +optional
	Upgrade *UpgradeStatus `json:"upgrade,omitempty"`
	// AutoUpgrade is there while the cluster is on an upgrade channel.
	// +optional
	AutoUpgrade *AutoUpgradeStatus `json:"autoUpgrade,omitempty"`
	// NodeImageUpgrade is there while nodes get new node images by themselves.
	// +optional
	NodeImageUpgrade *NodeImageUpgradeStatus `json:"nodeImageUpgrade,omitempty"`
	// Certificates tells when the cluster's certificates expire, and how far a
	// replacement of its authorities is.
	// +optional
	Certificates *CertificateStatus `json:"certificates,omitempty"`
	// Progress says where each running operation is.
	// +listType=map
	// +listMapKey=scope
	// +optional
	Progress []meta.Progress `json:"progress,omitempty"`
	// Failure is why the last operation on the whole cluster failed; it is
	// cleared by the next that succeeds.
	// +optional
	Failure *meta.Failure `json:"failure,omitempty"`
	// Conditions are one for each phase of the controller, and Ready.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// The conditions of a ManagedCluster, in the order in which their phases run.
const (
	// ConditionReleaseReady is true if the binaries of the cluster's version are built on its host.
	ConditionReleaseReady = "ReleaseReady"
	// ConditionCredentialsReady is true if CAs, keys and certificates of the cluster exist.
	ConditionCredentialsReady = "CredentialsReady"
	// ConditionNetworkReady is true if addresses are allocated and the virtual network is programmed.
	ConditionNetworkReady = "NetworkReady"
	// ConditionControlPlaneReady is true if the API server answers /readyz.
	ConditionControlPlaneReady = "ControlPlaneReady"
	// ConditionAddonsReady is true if the cluster's own RBAC and add-ons are applied.
	ConditionAddonsReady = "AddonsReady"
	// ConditionAgentPoolsReady is true if every pool has the nodes it should have, all Ready.
	ConditionAgentPoolsReady = "AgentPoolsReady"
	// ConditionStopped is there while something is wanted to be stopped, and true
	// once nothing of it runs: of a cluster, an agent pool, a machine or a control
	// plane. Address, data and disks stay.
	ConditionStopped = "Stopped"
	// ConditionDeleting is true while a deletion is under way; its message says what it waits for.
	ConditionDeleting = "Deleting"
	// ConditionAutoUpgrade is there while the cluster is on an upgrade channel, and
	// true if it runs what the channel wants; its message says what comes when.
	ConditionAutoUpgrade = "AutoUpgrade"
	// ConditionReady is true if all the conditions above but Deleting and AutoUpgrade are.
	ConditionReady = "Ready"
)

// ManagedClusterList is a list of managed clusters.
//
// +kubebuilder:object:root=true
type ManagedClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ManagedCluster `json:"items"`
}
