package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// AutoUpgradeStatus says what a cluster's upgrade channel wants of it, when it
// may act, and what became of the last attempt. The controller of automatic
// upgrades alone writes it; the condition AutoUpgrade tells it.
type AutoUpgradeStatus struct {
	// TargetVersion is what the channel wants; NextVersion is the next step there.
	TargetVersion string `json:"targetVersion"`
	// +optional
	NextVersion string `json:"nextVersion,omitempty"`
	// WindowStart and WindowEnd are of the window that is open, or the next.
	// +optional
	WindowStart *metav1.Time `json:"windowStart,omitempty"`
	// +optional
	WindowEnd *metav1.Time `json:"windowEnd,omitempty"`
	// Done says that the cluster runs what the channel wants. Reason and Message
	// are those of the condition.
	Done bool `json:"done"`
	// +optional
	Reason string `json:"reason,omitempty"`
	// +optional
	Message string `json:"message,omitempty"`
	// Refused is the last attempt, if it was refused.
	// +optional
	Refused *RefusedUpgrade `json:"refused,omitempty"`
}

// NodeImageUpgradeStatus says how far the nodes are behind the newest node image,
// and when they are renewed. The controller of node images alone writes it.
type NodeImageUpgradeStatus struct {
	// Image is the newest node image.
	Image string `json:"image"`
	// Done says that all nodes have it. Message says what comes when, or what is in the way.
	Done    bool   `json:"done"`
	Message string `json:"message"`
	// WindowStart and WindowEnd are of the window that is open, or the next.
	// +optional
	WindowStart *metav1.Time `json:"windowStart,omitempty"`
	// +optional
	WindowEnd *metav1.Time `json:"windowEnd,omitempty"`
	// Refused is the last attempt, if it was refused.
	// +optional
	Refused *RefusedUpgrade `json:"refused,omitempty"`
}

// The channels of node images that act.
const (
	NodeOSChannelNone      = "None"
	NodeOSChannelNodeImage = "NodeImage"
)

// RefusedUpgrade is an upgrade that preflight, or another rule, held up.
type RefusedUpgrade struct {
	// Version is the one that was asked for, or the node image, Time when.
	Version string      `json:"version"`
	Time    metav1.Time `json:"time"`
	// Generation is that of the cluster then: a change of it makes a new attempt worth while.
	Generation int64 `json:"generation"`
	// RetryTime is the end of the window: the next attempt is in the next one.
	RetryTime metav1.Time `json:"retryTime"`
	// Failure is why.
	Failure meta.Failure `json:"failure"`
}

// AutoUpgradeCaller stands in the place of a caller in the operations that
// upgrade channels start.
const AutoUpgradeCaller = "auto-upgrade"
