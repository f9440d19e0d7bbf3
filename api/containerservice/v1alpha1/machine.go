package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// MachineFinalizer holds a machine until its host has removed all of it.
const MachineFinalizer = "containerservice.berth.dev/machine"

// MachineNodeFinalizer holds a machine, once its host has let it go, until its
// Kubernetes node and all that was allocated to it is released.
const MachineNodeFinalizer = "containerservice.berth.dev/node"

// Machine is one node, bound to a host. All that is external to it (name,
// address, id range, one-time token) is chosen and stored here before the host
// agent makes anything.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Pool",type=string,JSONPath=`.spec.agentPoolName`
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.spec.nodeName`
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.hostName`
// +kubebuilder:printcolumn:name="Size",type=string,JSONPath=`.spec.vmSize`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.address`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Machine struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   MachineSpec   `json:"spec"`
	Status MachineStatus `json:"status,omitempty"`
}

// MachineSpec is decided once, but for the power state, the credentials and the drain; a machine is replaced, never changed.
// +kubebuilder:validation:XValidation:rule="has(self.labels) == has(oldSelf.labels) && has(self.taints) == has(oldSelf.taints)",message="a machine is immutable: it is replaced"
type MachineSpec struct {
	// ClusterName and AgentPoolName are the names of the objects it belongs to.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	ClusterName string `json:"clusterName"`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	AgentPoolName string `json:"agentPoolName"`
	// HostName is the Host that the machine is bound to.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	HostName string `json:"hostName"`
	// Incarnation is a random word that names everything external of the machine.
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]{9}$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	Incarnation string `json:"incarnation"`
	// Index is the number of the instance in its pool, from 0.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	Index int32 `json:"index"`
	// NodeName is the name of the Kubernetes node.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	NodeName string `json:"nodeName"`
	// ProviderID is the node's spec.providerID.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	ProviderID string `json:"providerID"`
	// VMSize is a name of the size catalog.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	VMSize string `json:"vmSize"`
	// OSDiskSizeGB is the size of its disk in GiB.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	OSDiskSizeGB int32 `json:"osDiskSizeGB"`
	// MaxPods is the most pods the node takes.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	MaxPods int32 `json:"maxPods"`
	// KubernetesVersion is the full version of the node's components.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	KubernetesVersion string `json:"kubernetesVersion"`
	// Address is the node's address in its virtual network.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	Address string `json:"address"`
	// PodCIDR is the range of the node's pods; empty where they have addresses of a subnet.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	// +optional
	PodCIDR string `json:"podCIDR,omitempty"`
	// PodAddresses are the addresses of the subnet PodSubnetCIDR that the node's
	// pods have; empty where the node has a range of pods.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=250
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	// +optional
	PodAddresses []string `json:"podAddresses,omitempty"`
	// PodSubnetCIDR is the range of the subnet that PodAddresses lie in.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	// +optional
	PodSubnetCIDR string `json:"podSubnetCIDR,omitempty"`
	// IDRangeStart is the first host uid and gid of the node's user namespace;
	// the range is 65536 long.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	IDRangeStart int64 `json:"idRangeStart"`
	// BootstrapTokenID is the public half of the machine's one-time bootstrap
	// token; the token itself lies in the Secret of the same name as the machine.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]{6}$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	BootstrapTokenID string `json:"bootstrapTokenID"`
	// Labels and Taints are set when the node registers.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	Labels map[string]string `json:"labels,omitempty"`
	// +listType=atomic
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	Taints []string `json:"taints,omitempty"`
	// PowerState is Stopped for a machine that keeps its disk and nothing else;
	// empty is Running.
	// +optional
	PowerState meta.PowerState `json:"powerState,omitempty"`
	// Credentials say what the node is to trust and to be trusted for.
	// +optional
	Credentials *MachineCredentials `json:"credentials,omitempty"`
	// NodeImageVersion is what the pool's profile said when the machine was made.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	NodeImageVersion string `json:"nodeImageVersion,omitempty"`
	// Zone is the failure domain of the pool's that the machine is in; empty for none.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	Zone string `json:"zone,omitempty"`
	// KubeletConfig and Sysctls are the pool's when the machine was made.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	KubeletConfig *KubeletConfig `json:"kubeletConfig,omitempty"`
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a machine is immutable: it is replaced"
	Sysctls map[string]string `json:"sysctls,omitempty"`
	// Drain is there while the machine is to leave.
	// +optional
	Drain *MachineDrain `json:"drain,omitempty"`
}

// MachineStatus is what was observed of a machine. The host agent owns
// credentialsDigest, certificatesEnded, bundles and the conditions Provisioned and
// Networked, the machine controller the others.
type MachineStatus struct {
	// CredentialsDigest is that of the credentials which every program of the
	// machine runs with.
	// +optional
	CredentialsDigest string `json:"credentialsDigest,omitempty"`
	// Authority is the one that signed the kubelet's certificates.
	// +optional
	Authority string `json:"authority,omitempty"`
	// CertificatesEnded is true while the kubelet has no certificate but one that has
	// ended, as after a long stop: it needs the one-time token again.
	// +optional
	CertificatesEnded bool `json:"certificatesEnded,omitempty"`
	// Bundles is what was seen of the cluster's authorities in the volumes of pods,
	// while some are to be retired.
	// +optional
	Bundles *BundleStatus `json:"bundles,omitempty"`
	// NodeUID is the metadata.uid of the Kubernetes node once it registered.
	// +optional
	NodeUID string `json:"nodeUID,omitempty"`
	// KubeletVersion is what the node reports.
	// +optional
	KubeletVersion string `json:"kubeletVersion,omitempty"`
	// NodeProfile names the labels and taints of the pool that the node has.
	// +optional
	NodeProfile string `json:"nodeProfile,omitempty"`
	// NodeImage is the name of the node image that the machine was made from.
	// +optional
	NodeImage string `json:"nodeImage,omitempty"`
	// Conditions: Provisioned, Networked, NodeReady, Bootstrapped, Drained, Deleting, Ready.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// The conditions of a Machine.
const (
	// ConditionProvisioned is true if the provider runs the machine.
	ConditionProvisioned = "Provisioned"
	// ConditionNetworked is true if the machine's port is attached to its virtual network.
	ConditionNetworked = "Networked"
	// ConditionNodeReady is true if the Kubernetes node is Ready.
	ConditionNodeReady = "NodeReady"
	// ConditionBootstrapped is true if the node holds certificates of its own, of
	// the authority that its spec names, and its one-time token is gone.
	ConditionBootstrapped = "Bootstrapped"
)

// MachineList is a list of machines.
//
// +kubebuilder:object:root=true
type MachineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Machine `json:"items"`
}
