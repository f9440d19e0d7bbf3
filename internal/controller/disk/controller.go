// Package disk serves the tenants' claims of volumes as AKS's driver of disks
// does: it makes a Disk for a claim and the volume that stands for it, brings
// the disk to the node of the pod that uses it, makes it grow, and deletes it
// with its volume. The cluster's own controllers bind claims and ask for
// attachments; the node's half is the program disk-plugin. What is not built
// (block devices, volumes of several nodes, snapshots) is refused with an event
// in the tenant.
package disk

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/management/sieve"
	"berth.dev/berth/internal/tenant"
)

// Driver is the name of the driver, AKS's own.
const Driver = "disk.csi.azure.com"

// Tenants finds connected tenants.
type Tenants interface {
	Get(cluster string) (*tenant.Tenant, bool)
}

// Config is what the controller works with.
type Config struct {
	// Client writes and reads the cache; Reader reads the API server itself.
	Client  client.Client
	Reader  client.Reader
	Clock   clock.PassiveClock
	Tenants Tenants
}

// Controller serves all volumes of one cluster at a time.
type Controller struct{ config Config }

// NewController makes the controller.
func NewController(config Config) *Controller { return &Controller{config: config} }

// Register adds the controller to a manager, fed by the tenants.
func (c *Controller) Register(manager ctrl.Manager, tenants *tenant.Registry) error {
	b := ctrl.NewControllerManagedBy(manager).
		Named("disk").
		Watches(&containerservicev1.Disk{}, handler.EnqueueRequestsFromMapFunc(clusterOfObject)).
		Watches(&containerservicev1.Machine{}, handler.EnqueueRequestsFromMapFunc(clusterOfObject))
	for _, kind := range []tenant.Kind{tenant.Nodes, tenant.Claims, tenant.Volumes, tenant.Attachments} {
		b = b.WatchesRawSource(tenants.Source(kind, clusterOf))
	}
	return b.WithOptions(controller.Options{
		MaxConcurrentReconciles: 8,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
	}).Complete(c)
}

func clusterOf(_ context.Context, event tenant.Event) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: event.Cluster}}}
}

func clusterOfObject(_ context.Context, object client.Object) []reconcile.Request {
	switch o := object.(type) {
	case *containerservicev1.Disk:
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: o.Spec.ClusterName}}}
	case *containerservicev1.Machine:
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: o.Spec.ClusterName}}}
	}
	return nil
}

// Reconcile brings the disks of a cluster in line with its claims, volumes and attachments.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	s, err := c.readScope(ctx, request.Name)
	if err != nil || s == nil {
		return reconcile.Result{}, err
	}
	var errs []error
	for _, step := range []func(context.Context, *scope) error{c.provision, c.expand, c.attach, c.reclaim, c.forget} {
		if err := step(ctx, s); err != nil {
			errs = append(errs, err)
		}
	}
	err = errors.Join(errs...)
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: 10 * time.Millisecond}, nil
	}
	return reconcile.Result{}, err
}

// readScope reads the cluster with its tenant's volumes; nil while there is
// nothing to do, or it is not connected. What a cluster without nodes and disks
// has is not even followed: most clusters of a dense host have neither.
func (c *Controller) readScope(ctx context.Context, name string) (*scope, error) {
	t, ok := c.config.Tenants.Get(name)
	if !ok {
		return nil, nil
	}
	cluster := &containerservicev1.ManagedCluster{}
	if err := c.config.Client.Get(ctx, client.ObjectKey{Name: name}, cluster); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if cluster.DeletionTimestamp != nil || cluster.Spec.Incarnation != t.Incarnation {
		return nil, nil
	}
	s := &scope{cluster: cluster, tenant: t, now: c.config.Clock.Now()}
	if err := s.readOwn(ctx, c.config.Client); err != nil {
		return nil, err
	}
	if len(s.machines)+len(s.disks) == 0 {
		return nil, nil
	}
	filled := true
	for _, kind := range []tenant.Kind{tenant.Claims, tenant.Volumes, tenant.Attachments} {
		this, err := t.Follow(ctx, kind)
		if err != nil {
			return nil, err
		}
		filled = filled && this
	}
	if !filled {
		return nil, nil
	}
	if err := s.readTenant(ctx); err != nil {
		return nil, err
	}
	if len(s.claims)+len(s.volumes)+len(s.attachments)+len(s.disks) == 0 {
		return nil, nil
	}
	return s, s.readOwn(ctx, c.config.Reader) // what is decided is decided on what is so
}

// readOwn reads the machines and disks of the cluster.
func (s *scope) readOwn(ctx context.Context, reader client.Reader) error {
	var machines containerservicev1.MachineList
	var disks containerservicev1.DiskList
	if err := errors.Join(reader.List(ctx, &machines, sieve.Mentioning(s.cluster.Name)), reader.List(ctx, &disks, sieve.Mentioning(s.tenant.Incarnation))); err != nil {
		return fmt.Errorf("listing machines and disks: %w", err)
	}
	s.machines, s.disks = map[string]*containerservicev1.Machine{}, map[string]*containerservicev1.Disk{}
	for i := range machines.Items {
		if m := &machines.Items[i]; m.Spec.ClusterName == s.cluster.Name {
			s.machines[m.Spec.NodeName] = m
		}
	}
	for i := range disks.Items {
		// By the incarnation: a tenant can name any disk, and gets none of another's.
		if d := &disks.Items[i]; d.Spec.ClusterIncarnation == s.tenant.Incarnation {
			s.disks[d.Spec.Incarnation] = d
		}
	}
	return nil
}

// readTenant reads what is the driver's in the tenant.
func (s *scope) readTenant(ctx context.Context) error {
	var claims corev1.PersistentVolumeClaimList
	var volumes corev1.PersistentVolumeList
	var attachments storagev1.VolumeAttachmentList
	for _, list := range []client.ObjectList{&claims, &volumes, &attachments} {
		if err := s.tenant.Reader.List(ctx, list); err != nil {
			return fmt.Errorf("listing volumes: %w", err)
		}
	}
	s.claims, s.volumes = map[string]*corev1.PersistentVolumeClaim{}, map[string]*corev1.PersistentVolume{}
	for i := range claims.Items {
		if claim := &claims.Items[i]; provisionerOf(claim) == Driver {
			s.claims[string(claim.UID)] = claim
		}
	}
	for i := range volumes.Items {
		if volume := &volumes.Items[i]; volume.Spec.CSI != nil && volume.Spec.CSI.Driver == Driver {
			s.volumes[volume.Name] = volume
		}
	}
	for i := range attachments.Items {
		if attachment := &attachments.Items[i]; attachment.Spec.Attacher == Driver {
			s.attachments = append(s.attachments, attachment)
		}
	}
	return nil
}
