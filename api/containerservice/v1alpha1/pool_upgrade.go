package v1alpha1

import (
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The defaults of a pool's upgrades, those of AKS.
const (
	// DefaultMaxSurge is the share of a pool's nodes that come in addition.
	DefaultMaxSurge = "10%"
	// DefaultDrainTimeout is how long a node has to drain.
	DefaultDrainTimeout = 30 * time.Minute
)

// UndrainableNodeBehavior says what becomes of a node that did not drain in time.
// +kubebuilder:validation:Enum=Schedule;Cordon
type UndrainableNodeBehavior string

// The behaviors; an empty one is Schedule.
const (
	// UndrainableSchedule lets the node take pods again, and ends the upgrade there.
	UndrainableSchedule UndrainableNodeBehavior = "Schedule"
	// UndrainableCordon keeps pods away from the node and goes on with the others.
	UndrainableCordon UndrainableNodeBehavior = "Cordon"
)

// PoolUpgradeSettings say how the nodes of a pool are replaced.
type PoolUpgradeSettings struct {
	// MaxSurge is how many nodes come in addition: a number, or a percentage of
	// the pool's count, rounded up. Empty is DefaultMaxSurge.
	// +kubebuilder:validation:Pattern=`^[0-9]+%?$`
	// +optional
	MaxSurge string `json:"maxSurge,omitempty"`
	// MaxUnavailable is how many nodes may be missing meanwhile, as MaxSurge;
	// a percentage is rounded down. Empty is none.
	// +kubebuilder:validation:Pattern=`^[0-9]+%?$`
	// +optional
	MaxUnavailable string `json:"maxUnavailable,omitempty"`
	// DrainTimeoutInMinutes is how long a node has to drain; 0 is DefaultDrainTimeout.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1440
	// +optional
	DrainTimeoutInMinutes int32 `json:"drainTimeoutInMinutes,omitempty"`
	// NodeSoakDurationInMinutes is how long a new node has to be Ready before
	// the next old one goes.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=30
	// +optional
	NodeSoakDurationInMinutes int32 `json:"nodeSoakDurationInMinutes,omitempty"`
	// UndrainableNodeBehavior is what becomes of a node that did not drain in time.
	// +optional
	UndrainableNodeBehavior UndrainableNodeBehavior `json:"undrainableNodeBehavior,omitempty"`
}

// Surge is how many nodes come in addition to count. Where neither they nor
// missing ones are allowed, nothing could ever be replaced: then it is one.
func (u PoolUpgradeSettings) Surge(count int32) int32 {
	surge := u.MaxSurge
	if surge == "" {
		surge = DefaultMaxSurge
	}
	share := shareOf(surge, count, true)
	if share == 0 && u.Unavailable(count) == 0 {
		return 1
	}
	return share
}

// Unavailable is how many of count nodes may be missing.
func (u PoolUpgradeSettings) Unavailable(count int32) int32 {
	return min(shareOf(u.MaxUnavailable, count, false), count)
}

// DrainTimeout is how long a node has to drain.
func (u PoolUpgradeSettings) DrainTimeout() time.Duration {
	if u.DrainTimeoutInMinutes == 0 {
		return DefaultDrainTimeout
	}
	return time.Duration(u.DrainTimeoutInMinutes) * time.Minute
}

// Soak is how long a new node has to be Ready before the next old one goes.
func (u PoolUpgradeSettings) Soak() time.Duration {
	return time.Duration(u.NodeSoakDurationInMinutes) * time.Minute
}

// shareOf reads a number or a percentage of count; what it cannot read is none.
func shareOf(text string, count int32, up bool) int32 {
	number, percent := strings.CutSuffix(text, "%")
	value, err := strconv.ParseInt(number, 10, 32)
	switch {
	case err != nil:
		return 0
	case !percent:
		return int32(value)
	case up:
		return int32((value*int64(count) + 99) / 100)
	default:
		return int32(value * int64(count) / 100)
	}
}

// MachineDrain is the wish that a machine's node is emptied: it takes no new
// pods, and those that it has are evicted. It is withdrawn by taking it away.
type MachineDrain struct {
	// OperationID is the operation that the node leaves for; another one begins anew.
	// +optional
	OperationID string `json:"operationID,omitempty"`
	// Deadline is when nothing is evicted any more.
	Deadline metav1.Time `json:"deadline"`
	// IgnoreBudgets deletes pods that a PodDisruptionBudget protects.
	// +optional
	IgnoreBudgets bool `json:"ignoreBudgets,omitempty"`
	// Then is what becomes of the machine once the node is empty; empty is Delete.
	// +optional
	Then AfterDrain `json:"then,omitempty"`
	// GivenUp is there once the node did not drain in time: what became of it.
	// +optional
	GivenUp UndrainableNodeBehavior `json:"givenUp,omitempty"`
}

// ConditionDrained is true if a machine's node holds no pods that would have to be evicted.
const ConditionDrained = "Drained"

// ConditionBlocked is true if a pool's controller waits for a caller: an
// operation on the pool ends Failed with the condition's reason and message, and
// the next one goes on from there.
const ConditionBlocked = "Blocked"

// The reasons of ConditionBlocked, which become error codes.
const (
	// ReasonDrainFailure says that a node did not drain in time.
	ReasonDrainFailure = "PodDrainFailure"
	// ReasonNodesNotReady says that a new node did not become Ready in time.
	ReasonNodesNotReady = "NodesNotReady"
)
