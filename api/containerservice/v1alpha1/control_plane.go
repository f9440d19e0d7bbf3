package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// ControlPlaneFinalizer holds a control plane until its host has removed all of it.
const ControlPlaneFinalizer = "containerservice.berth.dev/control-plane"

// PrestartedFinalizer holds a control plane that was made before its cluster until
// the cluster is there, or until what was claimed for it is given back.
const PrestartedFinalizer = "containerservice.berth.dev/prestarted"

// PrestartedLabel is on every control plane that waits for a cluster.
const PrestartedLabel = "containerservice.berth.dev/prestarted"

// ControlPlane is the API server of one cluster and all that runs beside it,
// bound to a host. What can never change later (address, issuer, etcd prefix)
// is stored at birth. One that is started before there is a cluster for it belongs
// to none until a cluster is created with its incarnation; without a host it is
// being made.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=cp
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterName`
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.hostName`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Emulates",type=string,JSONPath=`.status.emulatedVersion`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.address`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ControlPlane struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ControlPlaneSpec   `json:"spec"`
	Status ControlPlaneStatus `json:"status,omitempty"`
}

// ControlPlaneSpec is what the host agent is to run.
//
// +kubebuilder:validation:XValidation:rule="self.fqdn == oldSelf.fqdn || size(oldSelf.clusterName) == 0",message="fqdn is immutable once there is a cluster"
// +kubebuilder:validation:XValidation:rule="size(self.hostName) == 0 || self.userID >= 1000 && size(self.address) > 0",message="what is bound to a host has an address, and a userID of 1000 or more"
type ControlPlaneSpec struct {
	// ClusterName is the name of the ManagedCluster object; empty while none has it.
	// +kubebuilder:validation:XValidation:rule="size(oldSelf) == 0 || self == oldSelf",message="clusterName is immutable once there is a cluster"
	ClusterName string `json:"clusterName"`
	// HostName is the Host that it is bound to; empty while it is being made.
	HostName string `json:"hostName"`
	// Incarnation is that of the cluster.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="incarnation is immutable"
	Incarnation string `json:"incarnation"`
	// KubernetesVersion is the full version to run.
	KubernetesVersion string `json:"kubernetesVersion"`
	// EmulatedVersion is the minor (1.35) that the components behave as while an
	// upgrade can still be taken back; empty: that of KubernetesVersion.
	// +optional
	EmulatedVersion string `json:"emulatedVersion,omitempty"`
	// PowerState is Stopped if nothing of it is to run; empty is Running.
	// +optional
	PowerState meta.PowerState `json:"powerState,omitempty"`
	// Address is the public address that the API server listens on, port 443.
	// +kubebuilder:validation:XValidation:rule="size(oldSelf) == 0 || self == oldSelf",message="address is immutable"
	Address string `json:"address"`
	// FQDN is its name in the install zone.
	FQDN string `json:"fqdn"`
	// Issuer is the issuer of service-account tokens beside that of pods, which is the
	// API server: nobody serves its keys yet, and its tokens are accepted.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="issuer is immutable"
	Issuer string `json:"issuer"`
	// EtcdPrefix is the key prefix in the datastore, minted from the incarnation
	// once and never computed again: it is authenticated data of the encryption at rest.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="etcdPrefix is immutable"
	EtcdPrefix string `json:"etcdPrefix"`
	// ServiceCIDR and PodCIDR are those of the cluster; PodCIDR is empty where pods
	// have addresses of a subnet.
	ServiceCIDR string `json:"serviceCIDR"`
	// +optional
	PodCIDR string `json:"podCIDR,omitempty"`
	// AuthorizedIPRanges are all ranges that may speak to its servers, the
	// cluster's own outbound addresses among them; none: all may.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=400
	// +optional
	AuthorizedIPRanges []string `json:"authorizedIPRanges,omitempty"`
	// UserID is the host uid and gid that the components run under.
	// +kubebuilder:validation:Minimum=0
	UserID int64 `json:"userID"`
	// CredentialsName is the Secret that holds CAs, keys and certificates.
	CredentialsName string `json:"credentialsName"`
	// CredentialsDigest names the content of that Secret that is to run.
	// +optional
	CredentialsDigest string `json:"credentialsDigest,omitempty"`
	// EncryptionKeyName is the key that every encrypted value is to be encrypted
	// with; empty: as they are.
	// +optional
	EncryptionKeyName string `json:"encryptionKeyName,omitempty"`
	// Restore is the last backup that its data were, or are to be, replaced by.
	// +optional
	Restore *Restore `json:"restore,omitempty"`
}

// ControlPlaneStatus is what the host agent observed.
type ControlPlaneStatus struct {
	// ObservedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Version is what the API server's /version says.
	// +optional
	Version string `json:"version,omitempty"`
	// EmulatedVersion is the minor that it says it behaves as, if that is not its
	// own; VersionSince is since when both are so.
	// +optional
	EmulatedVersion string `json:"emulatedVersion,omitempty"`
	// +optional
	VersionSince *metav1.Time `json:"versionSince,omitempty"`
	// Server names the process of the API server that new connections reached when
	// it last answered; the service's watches are made anew with it.
	// +optional
	Server string `json:"server,omitempty"`
	// HealthySince is since when the API server has answered and no component has
	// died, UnhealthySince since when that has not been so; one of them is there.
	// Neither changes while the host builds what is to run next.
	// +optional
	HealthySince *metav1.Time `json:"healthySince,omitempty"`
	// +optional
	UnhealthySince *metav1.Time `json:"unhealthySince,omitempty"`
	// DeprecatedAPIs are what clients asked for in the last twelve hours and a later
	// minor lacks, as the audit log says.
	// +listType=map
	// +listMapKey=resource
	// +kubebuilder:validation:MaxItems=100
	// +optional
	DeprecatedAPIs []DeprecatedAPI `json:"deprecatedAPIs,omitempty"`
	// EncryptionKeyName is the key that every encrypted value was seen to be
	// encrypted with since the spec asks for it; empty: not all are.
	// +optional
	EncryptionKeyName string `json:"encryptionKeyName,omitempty"`
	// Restore says how the last restore ended.
	// +optional
	Restore *RestoreStatus `json:"restore,omitempty"`
	// Components are the processes, in their start order.
	// +listType=map
	// +listMapKey=name
	// +optional
	Components []ComponentStatus `json:"components,omitempty"`
	// Conditions: ReleaseReady, NetworkReady, Ready, Deleting.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ConditionUpToDate is true if the API server is ready and every component of the
// control plane runs from the spec of the observed generation; one that hands
// over to its successor serves meanwhile, and it is false.
const ConditionUpToDate = "UpToDate"

// ConditionReencrypted is true once every encrypted value was seen to be encrypted
// with the key that the spec names; its message says how far that is.
const ConditionReencrypted = "Reencrypted"

// ComponentStatus is one process of a control plane.
type ComponentStatus struct {
	// Name is the component's name, e.g. kube-apiserver.
	Name string `json:"name"`
	// PID is the process id on the host, 0 while it is not running.
	PID int32 `json:"pid"`
	// Restarts counts the deaths since the supervisor started.
	Restarts int32 `json:"restarts"`
	// LastExit says how it died last.
	// +optional
	LastExit string `json:"lastExit,omitempty"`
}

// ControlPlaneList is a list of control planes.
//
// +kubebuilder:object:root=true
type ControlPlaneList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ControlPlane `json:"items"`
}
