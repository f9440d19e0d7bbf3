// Package conflict says what a controller does when somebody else wrote an
// object first: it looks again at once, which is no error. Whoever can repeat
// the one write that was lost uses k8s.io/client-go/util/retry instead.
package conflict

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Again is how soon to look again: the object that won is on its way into the cache.
const Again = 10 * time.Millisecond

// Retry ends a Reconcile: a lost race becomes another look at once, any other
// error stays one, and result is what is answered without an error.
func Retry(result reconcile.Result, err error) (reconcile.Result, error) {
	switch {
	case apierrors.IsConflict(err):
		return reconcile.Result{RequeueAfter: Again}, nil
	case err != nil:
		return reconcile.Result{}, err
	default:
		return result, nil
	}
}
