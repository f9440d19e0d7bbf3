package v1alpha1

import meta "berth.dev/berth/api/meta/v1alpha1"

// ScaleDownMode says what becomes of a machine that its pool no longer needs.
// +kubebuilder:validation:Enum=Delete;Deallocate
type ScaleDownMode string

// The modes; an empty one is Delete.
const (
	// ScaleDownDelete deletes the machine.
	ScaleDownDelete ScaleDownMode = "Delete"
	// ScaleDownDeallocate stops the machine and keeps its disk; a pool that grows
	// starts it again before it makes a new one.
	ScaleDownDeallocate ScaleDownMode = "Deallocate"
)

// AfterDrain says what becomes of a machine once its node is empty.
// +kubebuilder:validation:Enum=Delete;Deallocate;Stop
type AfterDrain string

// What becomes of a drained machine; an empty one is Delete.
const (
	// AfterDrainDelete deletes it.
	AfterDrainDelete AfterDrain = "Delete"
	// AfterDrainDeallocate stops it: it is one that its pool does not need now.
	AfterDrainDeallocate AfterDrain = "Deallocate"
	// AfterDrainStop stops it together with its pool, of which it stays a part.
	AfterDrainStop AfterDrain = "Stop"
)

// Deallocated says that a machine is none of its pool's nodes now: it was drained
// and told to stop, and keeps its disk until the pool grows.
func (m *Machine) Deallocated() bool {
	return m.Spec.PowerState == meta.PowerStopped && m.Spec.Drain != nil && m.Spec.Drain.Then == AfterDrainDeallocate
}
