package agentpool

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// wish is to drain now, for the operation that runs. The pool is looked at again
// at the deadline.
func (s *scope) wish(then v1alpha1.AfterDrain) *v1alpha1.MachineDrain {
	timeout := s.pool.Spec.Profile.UpgradeSettings.DrainTimeout()
	s.look(timeout)
	wish := &v1alpha1.MachineDrain{Deadline: metav1.NewTime(s.now.Add(timeout).Truncate(time.Second)), Then: then}
	if operation := s.operation(); operation != nil {
		wish.OperationID, wish.IgnoreBudgets = operation.ID, operation.IgnoreDisruptionBudgets
	}
	return wish
}

// advance looks at a machine that was told to drain. done says that the node is
// empty; otherwise the wish goes on as next: given up at its deadline, and begun
// anew for another operation. A machine that was to leave is then decided anew: next is nil.
func (s *scope) advance(slot *slot) (next *v1alpha1.MachineDrain, done bool) {
	wish, operation := slot.machine.Spec.Drain, s.operation()
	left := wish.Deadline.Sub(s.now)
	switch {
	case wish.GivenUp == "" && slot.isDrained():
		return nil, true
	case operation != nil && operation.ID != wish.OperationID && wish.GivenUp != "":
		return nil, false
	case operation != nil && operation.IgnoreDisruptionBudgets && !wish.IgnoreBudgets:
		return s.wish(wish.Then), false
	case wish.GivenUp != "":
		return wish, false
	case left > s.pool.Spec.Profile.UpgradeSettings.DrainTimeout(): // the clock was set back, or the timeout is another one
		return s.wish(wish.Then), false
	case left > 0:
		s.look(left)
		return wish, false
	}
	changed := *wish
	changed.GivenUp = v1alpha1.UndrainableSchedule
	if set := s.pool.Spec.Profile.UpgradeSettings.UndrainableNodeBehavior; set != "" && s.isOutdated(slot) {
		changed.GivenUp = set
	}
	return &changed, false
}

// drain writes the wish to drain, or takes it away.
func drain(ctx context.Context, c client.Client, slot *slot, wish *v1alpha1.MachineDrain) error {
	return update(ctx, c, slot, func(spec *v1alpha1.MachineSpec) { spec.Drain = wish })
}

// update changes what a machine is to do, unless it is that already.
func update(ctx context.Context, c client.Client, slot *slot, change func(*v1alpha1.MachineSpec)) error {
	changed := slot.machine.DeepCopy()
	if change(&changed.Spec); equality.Semantic.DeepEqual(changed.Spec, slot.machine.Spec) {
		return nil
	}
	if err := c.Update(ctx, changed); err != nil {
		return fmt.Errorf("telling machine %s whether to drain and to run: %w", slot.owner.Name, err)
	}
	slot.machine = changed
	return nil
}

// look asks to look again after a while.
func (s *scope) look(after time.Duration) {
	if after > 0 && (s.next == 0 || after < s.next) {
		s.next = after
	}
}
