package resources

import (
	"context"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// Unmanaged refuses to change by hand what a cluster made for itself, as long as
// the cluster lives: as if a deny assignment of the cluster's said so. owner is
// the name of the cluster's object, "" of what no cluster made.
func Unmanaged(ctx context.Context, c client.Reader, r *arm.Request, id, owner string) error {
	if owner == "" {
		return nil
	}
	var cluster containerservicev1alpha1.ManagedCluster
	err := c.Get(ctx, client.ObjectKey{Name: owner}, &cluster)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return arm.NewError(http.StatusForbidden, "DenyAssignmentAuthorizationFailed",
		"The client '%s' with object id '%s' has permission to perform action '%s' on scope '%s'; however, the access is denied: it belongs to the managed cluster '%s' in the resource group '%s', which needs it as long as it lives. Change the cluster instead, or delete the cluster, which takes it along.",
		r.Principal.AppID, r.Principal.ObjectID, r.Route.Action, id, cluster.Spec.Name, cluster.Spec.ResourceGroup)
}
