package conflict_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"berth.dev/berth/internal/controller/conflict"
)

func TestALostRaceIsAnotherLookAndNoError(t *testing.T) {
	lost := apierrors.NewConflict(schema.GroupResource{Resource: "machines"}, "one", errors.New("the object has been modified"))
	broken := errors.New("no space left on device")
	later := reconcile.Result{RequeueAfter: time.Hour}
	for name, c := range map[string]struct {
		err   error
		again bool
		want  error
	}{
		"a lost race":            {err: lost, again: true},
		"a lost race in a chain": {err: errors.Join(fmt.Errorf("writing: %w", lost)), again: true},
		"another error":          {err: broken, want: broken},
		"no error":               {},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := conflict.Retry(later, c.err)
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if soon := result.RequeueAfter > 0 && result.RequeueAfter < time.Second; soon != c.again {
				t.Errorf("it looks again after %v", result.RequeueAfter)
			}
			if c.err == nil && result != later {
				t.Errorf("the result %v was lost", result)
			}
		})
	}
}
