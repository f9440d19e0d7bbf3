package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// AgentPoolFinalizer holds an agent pool until its machines are gone.
const AgentPoolFinalizer = "containerservice.berth.dev/agent-pool"

// AgentPool is the projection of one pool of a ManagedCluster: its spec is
// written by the cluster's controller alone, its status is what the pool's
// controller observed.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=ap
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterName`
// +kubebuilder:printcolumn:name="Pool",type=string,JSONPath=`.spec.profile.name`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.profile.mode`
// +kubebuilder:printcolumn:name="Size",type=string,JSONPath=`.spec.profile.vmSize`
// +kubebuilder:printcolumn:name="Desired",type=integer,JSONPath=`.spec.profile.count`
// +kubebuilder:printcolumn:name="Ready",type=integer,JSONPath=`.status.readyCount`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.provisioningState`
type AgentPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   AgentPoolSpec   `json:"spec"`
	Status AgentPoolStatus `json:"status,omitempty"`
}

// AgentPoolSpec is what the pool's cluster says of it.
type AgentPoolSpec struct {
	// ClusterName is the name of the ManagedCluster object.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clusterName is immutable"
	ClusterName string `json:"clusterName"`
	// Profile is the cluster's entry for the pool.
	Profile AgentPoolProfile `json:"profile"`
	// ClusterGeneration is the generation of the ManagedCluster that Profile was copied from.
	ClusterGeneration int64 `json:"clusterGeneration"`
	// CredentialsDigest names the cluster's authorities that the nodes are to trust
	// and to have certificates of.
	// +optional
	CredentialsDigest string `json:"credentialsDigest,omitempty"`
}

// AgentPoolStatus is what was observed of a pool.
type AgentPoolStatus struct {
	// ObservedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// ObservedClusterGeneration is the ClusterGeneration that the conditions speak of.
	// +optional
	ObservedClusterGeneration int64 `json:"observedClusterGeneration,omitempty"`
	// CredentialsDigest is the spec's once every node that runs trusts those
	// authorities and holds certificates of them.
	// +optional
	CredentialsDigest string `json:"credentialsDigest,omitempty"`
	// ProvisioningState is derived as the cluster's is.
	// +optional
	ProvisioningState string `json:"provisioningState,omitempty"`
	// Count is the number of machines that exist, but for those that are deallocated.
	// +optional
	Count int32 `json:"count,omitempty"`
	// DeallocatedCount is the number of machines that are stopped and kept for when
	// the pool grows.
	// +optional
	DeallocatedCount int32 `json:"deallocatedCount,omitempty"`
	// ReadyCount is the number of machines whose node is Ready.
	// +optional
	ReadyCount int32 `json:"readyCount,omitempty"`
	// CurrentOrchestratorVersion is the lowest version that a node of the pool reports.
	// +optional
	CurrentOrchestratorVersion string `json:"currentOrchestratorVersion,omitempty"`
	// NodeImageVersion is the name of the node image that the machines run.
	// +optional
	NodeImageVersion string `json:"nodeImageVersion,omitempty"`
	// Failure is why the last operation on the pool failed.
	// +optional
	Failure *meta.Failure `json:"failure,omitempty"`
	// Conditions: MachinesReady, Blocked, Deleting, Ready.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ConditionMachinesReady is true if the pool has exactly its count of machines, each with a Ready node.
const ConditionMachinesReady = "MachinesReady"

// AgentPoolList is a list of agent pools.
//
// +kubebuilder:object:root=true
type AgentPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AgentPool `json:"items"`
}
