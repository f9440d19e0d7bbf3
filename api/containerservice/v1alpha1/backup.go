package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// BackupFinalizer holds a backup until its file is gone.
const BackupFinalizer = "containerservice.berth.dev/backup"

// BackupUpgradeLabel is on backups that upgrades took: the incarnation of the cluster.
const BackupUpgradeLabel = "containerservice.berth.dev/upgrade-of"

// The conditions of a backup, beside Ready, which says that both are true.
const (
	// ConditionStored is true if the whole backup is on the host's disk.
	ConditionStored = "Stored"
	// ConditionVerified is true if the backup was restored into a scratch etcd
	// and read back as it is.
	ConditionVerified = "Verified"
)

// BackupOrigin says where a backup comes from.
// +kubebuilder:validation:Enum=Cluster;Upload
type BackupOrigin string

// The origins of a backup.
const (
	BackupOfCluster BackupOrigin = "Cluster"
	BackupUploaded  BackupOrigin = "Upload"
)

// Backup is the key range of one cluster at one revision, as a file on a host.
// It outlives the cluster.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.spec.resourceGroup`
// +kubebuilder:printcolumn:name="Backup",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.status.clusterID`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.kubernetesVersion`
// +kubebuilder:printcolumn:name="Revision",type=integer,JSONPath=`.status.revision`
// +kubebuilder:printcolumn:name="Size",type=integer,JSONPath=`.status.sizeBytes`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Backup struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   BackupSpec   `json:"spec"`
	Status BackupStatus `json:"status,omitempty"`
}

// BackupSpec says what to take a backup of.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a backup is immutable"
type BackupSpec struct {
	// SubscriptionID, ResourceGroup and Name make the ARM id of a backup that a
	// caller asked for; the service's own have no name.
	// +optional
	SubscriptionID string `json:"subscriptionID,omitempty"`
	// +optional
	ResourceGroup string `json:"resourceGroup,omitempty"`
	// +optional
	Name string `json:"name,omitempty"`
	// Incarnation is a random word minted with the object. It names the file.
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]{9}$`
	Incarnation string `json:"incarnation"`
	// HostName is the Host that keeps the file.
	HostName string `json:"hostName"`
	// Origin says whether the backup is taken here or was uploaded.
	Origin BackupOrigin `json:"origin"`
	// ClusterName is the name of the ManagedCluster object, and
	// ClusterIncarnation its incarnation; empty for an uploaded backup.
	// +optional
	ClusterName string `json:"clusterName,omitempty"`
	// +optional
	ClusterIncarnation string `json:"clusterIncarnation,omitempty"`
	// ScheduleName is the name of the schedule that asked for the backup, and Due
	// when it was due; empty for one that a caller asked for.
	// +optional
	ScheduleName string `json:"scheduleName,omitempty"`
	// +optional
	Due *metav1.Time `json:"due,omitempty"`
	// Deadline is when a backup that is not taken by then ends Failed.
	Deadline metav1.Time `json:"deadline"`
}

// BackupStatus is what the host agent observed.
type BackupStatus struct {
	// ClusterID is the ARM id of the cluster that the backup is of.
	// +optional
	ClusterID string `json:"clusterID,omitempty"`
	// KubernetesVersion is the version whose API the cluster served.
	// +optional
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// Revision is the etcd revision that it shows, Keys how many keys there were.
	// +optional
	Revision int64 `json:"revision,omitempty"`
	// +optional
	Keys int64 `json:"keys,omitempty"`
	// SizeBytes is the length of the file, DataBytes that of the keys and values in it.
	// +optional
	SizeBytes int64 `json:"sizeBytes,omitempty"`
	// +optional
	DataBytes int64 `json:"dataBytes,omitempty"`
	// KeyID names the service key that wraps the file.
	// +optional
	KeyID string `json:"keyID,omitempty"`
	// Time is when the backup was begun: what was written before is in it.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
	// Failure is why it ended Failed; it is then never tried again.
	// +optional
	Failure *meta.Failure `json:"failure,omitempty"`
	// Conditions: Stored, Verified, Ready.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BackupList is a list of backups.
//
// +kubebuilder:object:root=true
type BackupList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Backup `json:"items"`
}

// DeriveProvisioningState is the state of the backup in ARM's words.
func (b *Backup) DeriveProvisioningState() string {
	switch {
	case b.DeletionTimestamp != nil:
		return StateDeleting
	case b.Status.Failure != nil:
		return StateFailed
	case ConditionTrue(b.Status.Conditions, ConditionReady):
		return StateSucceeded
	default:
		return StateCreating
	}
}

// Restore is the wish that a cluster become as a backup has it.
type Restore struct {
	// ID is a fresh GUID: each wish is carried out once.
	// +kubebuilder:validation:MinLength=1
	ID string `json:"id"`
	// BackupName is the name of the Backup object.
	// +kubebuilder:validation:MinLength=1
	BackupName string `json:"backupName"`
	// Required says that the API server must not start on the data as they are,
	// which a later version wrote: it stays away until a restore succeeds.
	// +optional
	Required bool `json:"required,omitempty"`
}

// RestoreStatus says how the last restore ended.
type RestoreStatus struct {
	// ID is that of the wish.
	ID string `json:"id"`
	// Time is when it ended.
	Time metav1.Time `json:"time"`
	// Revision is that of the etcd afterwards; 0 if nothing was written.
	// +optional
	Revision int64 `json:"revision,omitempty"`
	// Failure is why nothing was restored.
	// +optional
	Failure *meta.Failure `json:"failure,omitempty"`
}

// Restoring says that a control plane has a restore before it.
func (c *ControlPlane) Restoring() bool {
	return c.Spec.Restore != nil && (c.Status.Restore == nil || c.Status.Restore.ID != c.Spec.Restore.ID)
}
