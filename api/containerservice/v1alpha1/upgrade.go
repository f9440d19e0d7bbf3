package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// ControlPlaneUpgrade is the last upgrade of a control plane to another minor. It
// can be taken back as long as Lift is false: until then the new binaries behave
// as the minor before and store only what that one reads.
type ControlPlaneUpgrade struct {
	// FromVersion is the full version before, which a rollback goes back to, and
	// FromRequestedVersion how the caller had written it.
	// +kubebuilder:validation:Pattern=`^[0-9]+\.[0-9]+\.[0-9]+$`
	FromVersion          string `json:"fromVersion"`
	FromRequestedVersion string `json:"fromRequestedVersion"`
	// ToVersion is the full version that was asked for.
	// +kubebuilder:validation:Pattern=`^[0-9]+\.[0-9]+\.[0-9]+$`
	ToVersion string `json:"toVersion"`
	// FromPools are the versions of the pools before, by name, of those that the
	// upgrade takes along. Their nodes are left alone until the control plane is lifted.
	// +optional
	FromPools map[string]string `json:"fromPools,omitempty"`
	// ControlPlaneOnly says that the operation ends while the control plane
	// emulates; otherwise it goes on to the lift and the pools.
	// +optional
	ControlPlaneOnly bool `json:"controlPlaneOnly,omitempty"`
	// Soak is for how long the control plane has to be healthy without a break
	// before it is lifted.
	Soak metav1.Duration `json:"soak"`
	// Lift says that the control plane is to serve its new minor. It is set by a
	// caller, or by the controller after the soak, and never taken back.
	// +optional
	Lift bool `json:"lift,omitempty"`
	// LiftTime is when Lift was set.
	// +optional
	LiftTime *metav1.Time `json:"liftTime,omitempty"`
	// BackupName is the name of the Backup that is taken before the binaries are
	// swapped; empty: none is.
	// +optional
	BackupName string `json:"backupName,omitempty"`
	// RolledBack is why the controller took the upgrade back by itself.
	// +optional
	RolledBack *meta.Failure `json:"rolledBack,omitempty"`
}

// UpgradeOverride is a caller's wish to upgrade whatever preflight finds.
type UpgradeOverride struct {
	// Force and Until: upgrades that begin before Until are not held up.
	Force bool        `json:"force"`
	Until metav1.Time `json:"until"`
}

// ForcesUpgrade says that an upgrade which begins now is to be held up by nothing.
func (s *ManagedClusterSpec) ForcesUpgrade(now time.Time) bool {
	return s.UpgradeOverride != nil && s.UpgradeOverride.Force && now.Before(s.UpgradeOverride.Until.Time)
}

// Revocable says that the upgrade goes on and can still be taken back.
func (u *ControlPlaneUpgrade) Revocable() bool {
	return u != nil && !u.Lift && u.RolledBack == nil
}

// Restorable says that the upgrade was lifted and that a backup from before it
// may still be there.
func (u *ControlPlaneUpgrade) Restorable() bool {
	return u != nil && u.Lift && u.RolledBack == nil && u.BackupName != ""
}

// RollBack puts a cluster's desired state back to what it was before its
// upgrade. Pools that were asked for other versions meanwhile keep those.
func (s *ManagedClusterSpec) RollBack() {
	u := s.Upgrade
	for i := range s.AgentPools {
		if before, taken := u.FromPools[s.AgentPools[i].Name]; taken && s.AgentPools[i].OrchestratorVersion == u.ToVersion {
			s.AgentPools[i].OrchestratorVersion = before
		}
	}
	s.KubernetesVersion, s.RequestedVersion = u.FromVersion, u.FromRequestedVersion
}

// ServedVersion is the version that the cluster's API has by its desired state:
// that before an upgrade which can still be taken back.
func (c *ManagedCluster) ServedVersion() string {
	if c.Spec.Upgrade.Revocable() {
		return c.Spec.Upgrade.FromVersion
	}
	return c.Spec.KubernetesVersion
}

// UpgradeStatus is how an upgrade of the control plane to another minor stands.
type UpgradeStatus struct {
	// BinaryVersion is the version of the binaries that run.
	// +optional
	BinaryVersion string `json:"binaryVersion,omitempty"`
	// EmulatedVersion is the minor that they behave as.
	// +optional
	EmulatedVersion string `json:"emulatedVersion,omitempty"`
	// HealthySince is since when they do, without a break.
	// +optional
	HealthySince *metav1.Time `json:"healthySince,omitempty"`
	// LiftTime is when they will serve their own minor if they stay healthy.
	// +optional
	LiftTime *metav1.Time `json:"liftTime,omitempty"`
}

// DeprecatedAPI is an API that a client asked for and that a later minor lacks.
type DeprecatedAPI struct {
	// Resource is group/version/resource, e.g. policy/v1beta1/podsecuritypolicies.
	Resource string `json:"resource"`
	// RemovedRelease is the first minor without it, e.g. 1.25.
	RemovedRelease string `json:"removedRelease"`
	// User and UserAgent are those of the last request, LastUsed is its time.
	User      string      `json:"user,omitempty"`
	UserAgent string      `json:"userAgent,omitempty"`
	LastUsed  metav1.Time `json:"lastUsed"`
}

// ConditionUpgraded is true if the control plane serves the version that is
// wanted, or may be left to emulate the one before for a while.
const ConditionUpgraded = "Upgraded"
