// Package beside owns what objects have in common that callers keep beside a cluster
// and that go with it, as its maintenance configurations and backup schedules.
package beside

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// ErrDeleting says that the cluster of an object began to be deleted while the
// object was made.
var ErrDeleting = errors.New("the cluster is being deleted")

// Withdraw looks whether the cluster began to be deleted while an object was made
// beside it: the deletion may have looked for such objects before that. Then it takes
// the object back, and fails with ErrDeleting, or as look did with an *arm.Error if
// the cluster is gone. look finds the cluster anew; if it cannot be asked just now,
// the object stays, and whoever acts on it finds no cluster.
func Withdraw(ctx context.Context, c client.Client, made client.Object, of *v1alpha1.ManagedCluster, look func() (*v1alpha1.ManagedCluster, error)) error {
	now, err := look()
	var gone *arm.Error
	switch {
	case err == nil && now.DeletionTimestamp == nil && now.UID == of.UID:
		return nil
	case err == nil:
		err = ErrDeleting
	case !errors.As(err, &gone):
		return nil
	}
	if deleteErr := c.Delete(context.WithoutCancel(ctx), made); client.IgnoreNotFound(deleteErr) != nil {
		return deleteErr
	}
	return err
}
