package prestarted

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
)

// handOver lets go of a control plane whose cluster is there, which keeps it from
// then on. One whose cluster does not come was left by a front end that died
// after its claim, and is deleted: it may not be given to another, since nobody
// knows that the first will never be created.
func (c *Controller) handOver(ctx context.Context, plane *v1alpha1.ControlPlane) (next time.Duration, err error) {
	has, err := c.hasCluster(ctx, plane)
	if err != nil {
		return 0, err
	}
	if has {
		delete(c.since, plane.Spec.Incarnation)
		if err := c.letGo(ctx, plane); err != nil {
			return 0, err
		}
		c.metrics.claimed.Inc()
		return resync, nil
	}
	if _, known := c.since[plane.Spec.Incarnation]; !known {
		c.since[plane.Spec.Incarnation] = c.now()
	}
	if wait := abandoned - c.now().Sub(c.since[plane.Spec.Incarnation]); wait > 0 {
		return wait, nil
	}
	if err := c.drop(ctx, plane); err != nil {
		return 0, err
	}
	c.metrics.abandoned.Inc()
	return resync, nil
}

// drop deletes a control plane as it was read: one that was claimed since stays.
func (c *Controller) drop(ctx context.Context, plane *v1alpha1.ControlPlane) error {
	version := plane.ResourceVersion
	err := c.config.Client.Delete(ctx, plane, client.Preconditions{ResourceVersion: &version})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the pre-started control plane %s: %w", plane.Name, err)
	}
	return nil
}

// release gives back what a deleted control plane had claimed, once its host has
// let go of it, and then lets go itself. If a cluster of its incarnation is there,
// it owns the claims and gives them back.
//
// A front end that stood still for longer than a claim lasts may create its
// cluster while this goes on. That does no harm: the cluster's controller makes
// nothing as long as the control plane is there, which is until everything is given
// back, and then makes its own.
func (c *Controller) release(ctx context.Context, plane *v1alpha1.ControlPlane) error {
	delete(c.since, plane.Spec.Incarnation)
	has, err := c.hasCluster(ctx, plane)
	if err != nil {
		return err
	}
	if has {
		return c.letGo(ctx, plane)
	}
	if controllerutil.ContainsFinalizer(plane, v1alpha1.ControlPlaneFinalizer) {
		return nil // its host wakes this controller when it is done
	}
	if err := c.allocator.ReleaseAddress(ctx, owner(plane), allocation.PurposeAPIServer); err != nil {
		return err
	}
	if err := c.allocator.ReleaseIDRange(ctx, owner(plane)); err != nil {
		return err
	}
	credentials := credentialsOf(plane)
	if err := c.config.Client.Delete(ctx, credentials); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the credentials of control plane %s: %w", plane.Name, err)
	}
	return c.letGo(ctx, plane)
}

// letGo ends the pool's hold on a control plane.
func (c *Controller) letGo(ctx context.Context, plane *v1alpha1.ControlPlane) error {
	controllerutil.RemoveFinalizer(plane, v1alpha1.PrestartedFinalizer)
	if err := c.config.Client.Update(ctx, plane); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("letting go of control plane %s: %w", plane.Name, err)
	}
	return nil
}

// hasCluster says whether the cluster that claimed a control plane is there. It
// asks the API server itself: a cache may not have it yet.
func (c *Controller) hasCluster(ctx context.Context, plane *v1alpha1.ControlPlane) (bool, error) {
	if plane.Spec.ClusterName == "" {
		return false, nil
	}
	cluster := &v1alpha1.ManagedCluster{}
	err := c.config.Reader.Get(ctx, client.ObjectKey{Name: plane.Spec.ClusterName}, cluster)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading the cluster of control plane %s: %w", plane.Name, err)
	}
	return err == nil && cluster.Spec.Incarnation == plane.Spec.Incarnation, nil
}
