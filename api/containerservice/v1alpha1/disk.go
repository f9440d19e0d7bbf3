package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DiskFinalizer holds a disk until its file is gone.
const DiskFinalizer = "containerservice.berth.dev/disk"

// Disk is a disk that a cluster's volume is on: a file on a host, brought into one
// machine at a time.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterName`
// +kubebuilder:printcolumn:name="Claim",type=string,JSONPath=`.spec.claim`
// +kubebuilder:printcolumn:name="Size",type=integer,JSONPath=`.status.sizeGiB`
// +kubebuilder:printcolumn:name="Machine",type=string,JSONPath=`.status.machineIncarnation`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Disk struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   DiskSpec   `json:"spec"`
	Status DiskStatus `json:"status,omitempty"`
}

// DiskSpec says what the disk is to be and where.
type DiskSpec struct {
	// ClusterName is the name of the ManagedCluster object, and
	// ClusterIncarnation its incarnation.
	ClusterName        string `json:"clusterName"`
	ClusterIncarnation string `json:"clusterIncarnation"`
	// Incarnation is a random word minted with the object. It names the file, and
	// is what the cluster knows the disk by.
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]{9}$`
	Incarnation string `json:"incarnation"`
	// HostName is the Host that keeps the file.
	HostName string `json:"hostName"`
	// Claim is the namespace and name of the claim that it was made for.
	// +optional
	Claim string `json:"claim,omitempty"`
	// SizeGiB only grows.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32767
	// +kubebuilder:validation:XValidation:rule="self >= oldSelf",message="a disk does not shrink"
	SizeGiB int32 `json:"sizeGiB"`
	// MachineIncarnation is the machine that the disk is to be in; empty: in none.
	// +optional
	MachineIncarnation string `json:"machineIncarnation,omitempty"`
}

// DiskStatus is what the host agent observed.
type DiskStatus struct {
	// SizeGiB is the size of the disk's file system.
	// +optional
	SizeGiB int32 `json:"sizeGiB,omitempty"`
	// MachineIncarnation is the machine that the disk is in, or may still be in.
	// +optional
	MachineIncarnation string `json:"machineIncarnation,omitempty"`
	// Mounted is true if the disk can be used in that machine.
	// +optional
	Mounted bool `json:"mounted,omitempty"`
	// ObservedGeneration is the spec that this is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, which is true if the disk is as its spec has it.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// DiskList is a list of disks.
//
// +kubebuilder:object:root=true
type DiskList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Disk `json:"items"`
}
