package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RotationKind says what a rotation replaces.
// +kubebuilder:validation:Enum=Authorities;ServiceAccountKeys;EncryptionKeys
type RotationKind string

// The kinds of rotations.
const (
	// RotateAuthorities replaces the cluster's four authorities and every certificate below them.
	RotateAuthorities RotationKind = "Authorities"
	// RotateServiceAccountKeys replaces the key that signs service-account tokens.
	RotateServiceAccountKeys RotationKind = "ServiceAccountKeys"
	// RotateEncryptionKeys replaces the key that Secrets are encrypted with at rest.
	RotateEncryptionKeys RotationKind = "EncryptionKeys"
)

// Rotation is a replacement that was asked for.
type Rotation struct {
	// Kind says what is replaced.
	Kind RotationKind `json:"kind"`
	// ID is that of the operation that asked.
	ID string `json:"id"`
	// GracePeriod is for how long what was replaced is accepted beside what
	// replaced it, from when the operation ended.
	GracePeriod metav1.Duration `json:"gracePeriod"`
}

// RotationOf is the last rotation of a kind, nil if there was none.
func (s *ManagedClusterSpec) RotationOf(kind RotationKind) *Rotation {
	for i := range s.Rotations {
		if s.Rotations[i].Kind == kind {
			return &s.Rotations[i]
		}
	}
	return nil
}

// Rotate asks for a rotation in place of the last one of its kind.
func (s *ManagedClusterSpec) Rotate(rotation Rotation) {
	if last := s.RotationOf(rotation.Kind); last != nil {
		*last = rotation
		return
	}
	s.Rotations = append(s.Rotations, rotation)
}

// MachineCredentials name the credentials of a machine; they themselves lie in
// the Secrets of the cluster and of the machine.
type MachineCredentials struct {
	// Source is the CredentialsDigest of the pool that they were made for.
	Source string `json:"source"`
	// Digest names the content of what is written into the machine.
	Digest string `json:"digest"`
	// Authority is the key id of the cluster CA that is to sign the kubelet's certificates.
	Authority string `json:"authority"`
	// RenewTime is when kube-proxy's certificate is to be issued anew.
	RenewTime metav1.Time `json:"renewTime"`
}

// Credentialed says that a machine's node trusts and is trusted as its spec says.
func (m *Machine) Credentialed() bool {
	wanted := m.Spec.Credentials
	return wanted != nil && m.Status.CredentialsDigest == wanted.Digest && !m.NeedsToken()
}

// NeedsToken says that the node has yet to get certificates of the authority
// that its spec names, or that its have ended, for which its one-time token
// identifies it.
func (m *Machine) NeedsToken() bool {
	if !ConditionTrue(m.Status.Conditions, ConditionBootstrapped) || m.Status.CertificatesEnded {
		return true
	}
	return m.Spec.Credentials != nil && m.Status.Authority != m.Spec.Credentials.Authority
}

// BundleStatus is what a host saw of a cluster's authorities in the volumes that a
// kubelet keeps for pods.
type BundleStatus struct {
	// Authority is the key id of the one that was looked for.
	Authority string `json:"authority"`
	// Behind are the volumes with files that hold another authority of the cluster
	// and not this one.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=512
	// +optional
	Behind []BundleBehind `json:"behind,omitempty"`
	// Message says why the look saw less than all; empty if it saw all.
	// +optional
	Message string `json:"message,omitempty"`
}

// BundlesBehindMax is how many volumes a host names.
const BundlesBehindMax = 512

// BundleBehind is a volume of a pod.
type BundleBehind struct {
	// PodUID is the metadata.uid of the pod, Volume the name in its spec.
	PodUID string `json:"podUID"`
	Volume string `json:"volume"`
}

// AuthorityPublished is the annotation of a cluster's Secret that holds the key id
// of the signing authority once the bundle of every namespace was seen to hold it:
// from then on hosts look at what pods have of it.
const AuthorityPublished = "rotation.containerservice.berth.dev/published"

// CertificateStatus is what was observed of a cluster's certificates.
type CertificateStatus struct {
	// EarliestExpiry is when the first of the certificates that Berth keeps ends
	// unless it is renewed, and EarliestName which that is.
	EarliestExpiry metav1.Time `json:"earliestExpiry"`
	EarliestName   string      `json:"earliestName"`
	// Authority is the key id of the cluster CA that signs.
	Authority string `json:"authority"`
	// RetireTime is when the predecessors of the authorities stop being trusted,
	// if they still are.
	// +optional
	RetireTime *metav1.Time `json:"retireTime,omitempty"`
}

// ConditionPredecessorsRetired is true if nothing that was replaced by a
// rotation is accepted any more; its message says what is, and until when.
const ConditionPredecessorsRetired = "PredecessorsRetired"
