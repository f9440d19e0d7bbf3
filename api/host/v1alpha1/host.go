package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Host is a machine that Berth runs on. Its agent reconciles the objects that
// are bound to it and reports what the machine is.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="CPU",type=integer,JSONPath=`.status.cpus`
// +kubebuilder:printcolumn:name="Memory MiB",type=integer,JSONPath=`.status.memoryMiB`
// +kubebuilder:printcolumn:name="Isolation",type=string,JSONPath=`.status.isolation`
// +kubebuilder:printcolumn:name="Heartbeat",type=date,JSONPath=`.status.heartbeat`
type Host struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   HostSpec   `json:"spec"`
	Status HostStatus `json:"status,omitempty"`
}

// HostSpec is what the operator decides of a host.
type HostSpec struct {
	// CPUOvercommit is how many virtual CPUs are given out for each CPU.
	// +kubebuilder:validation:Minimum=1
	CPUOvercommit int32 `json:"cpuOvercommit"`
	// MemoryOvercommit is how many MiB are given out for each MiB.
	// +kubebuilder:validation:Minimum=1
	MemoryOvercommit int32 `json:"memoryOvercommit"`
	// PublicRange is the pool of public addresses of its edge, in CIDR notation.
	PublicRange string `json:"publicRange"`
	// Egress lets clusters reach what lies outside of the public range, with an
	// address of the host's own.
	// +optional
	Egress bool `json:"egress,omitempty"`
	// Announce is the link of the host on which it answers for the public range,
	// so that others on that link reach it; empty: none.
	// +optional
	Announce string `json:"announce,omitempty"`
}

// HostStatus is what the agent reports.
type HostStatus struct {
	// CPUs is the number of processors.
	// +optional
	CPUs int32 `json:"cpus,omitempty"`
	// MemoryMiB is the memory in MiB.
	// +optional
	MemoryMiB int64 `json:"memoryMiB,omitempty"`
	// Isolation is the class of its machines: userns.
	// +optional
	Isolation string `json:"isolation,omitempty"`
	// Releases are the Kubernetes versions whose binaries are built on it.
	// +listType=set
	// +optional
	Releases []string `json:"releases,omitempty"`
	// Heartbeat is when the agent last reported.
	// +optional
	Heartbeat *metav1.Time `json:"heartbeat,omitempty"`
	// Conditions: EdgeReady, DNSReady.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ConditionEdgeReady is true if the host's edge is programmed.
const ConditionEdgeReady = "EdgeReady"

// ConditionDNSReady is true if the server of the install zone runs with the names of all clusters.
const ConditionDNSReady = "DNSReady"

// ConditionBackendsProbed is true if the process runs that takes dead backends
// of balancers out of rotation.
const ConditionBackendsProbed = "BackendsProbed"

// HostList is a list of hosts.
//
// +kubebuilder:object:root=true
type HostList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Host `json:"items"`
}
