package disk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/tenant"
)

// scope is what the steps of one Reconcile know.
type scope struct {
	cluster *containerservicev1.ManagedCluster
	tenant  *tenant.Tenant
	now     time.Time
	// machines are the cluster's by the names of their nodes, disks its own by incarnation.
	machines map[string]*containerservicev1.Machine
	disks    map[string]*containerservicev1.Disk
	// What is the driver's in the tenant: claims by UID, volumes by name.
	claims      map[string]*corev1.PersistentVolumeClaim
	volumes     map[string]*corev1.PersistentVolume
	attachments []*storagev1.VolumeAttachment
}

// The annotations by which the cluster's controllers ask for a volume.
const (
	provisionerAnnotation     = "volume.kubernetes.io/storage-provisioner"
	provisionerAnnotationBeta = "volume.beta.kubernetes.io/storage-provisioner"
	selectedNodeAnnotation    = "volume.kubernetes.io/selected-node"
)

func provisionerOf(claim *corev1.PersistentVolumeClaim) string {
	if name := claim.Annotations[provisionerAnnotation]; name != "" {
		return name
	}
	return claim.Annotations[provisionerAnnotationBeta]
}

// diskName is the name of the object of a claim's disk: a claim has one for good.
func (s *scope) diskName(claimUID string) string {
	return "pvc-" + claimUID + "-" + s.tenant.Incarnation
}

// volumeName is the name of a claim's volume, as every driver gives it.
func volumeName(claim *corev1.PersistentVolumeClaim) string { return "pvc-" + string(claim.UID) }

// diskOf is the disk of a volume; nil if the cluster has none such.
func (s *scope) diskOf(volume *corev1.PersistentVolume) *containerservicev1.Disk {
	return s.disks[volume.Spec.CSI.VolumeHandle]
}

// gibibytes is a claim's size, rounded up as AKS rounds it.
func gibibytes(bytes int64) int64 { return (bytes + 1<<30 - 1) >> 30 }

// patchDisk writes a change of a disk's spec.
func (c *Controller) patchDisk(ctx context.Context, s *scope, disk *containerservicev1.Disk, change func(*containerservicev1.Disk)) error {
	changed := disk.DeepCopy()
	change(changed)
	patch := client.MergeFromWithOptions(disk, client.MergeFromWithOptimisticLock{})
	if err := c.config.Client.Patch(ctx, changed, patch); err != nil {
		return fmt.Errorf("changing disk %s: %w", disk.Name, err)
	}
	s.disks[disk.Spec.Incarnation] = changed
	return nil
}

// settledDisk says whether the host has done what the disk's spec says.
func settledDisk(disk *containerservicev1.Disk) bool {
	return disk.Status.ObservedGeneration >= disk.Generation
}

// tell writes a warning about a claim into the tenant, once for each thing there is to say.
func (c *Controller) tell(ctx context.Context, s *scope, claim *corev1.PersistentVolumeClaim, reason, message string) error {
	sum := sha256.Sum256([]byte(reason + message + string(claim.UID)))
	now := metav1.NewTime(s.now)
	err := s.tenant.Client.Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: claim.Namespace, Name: claim.Name + "." + hex.EncodeToString(sum[:6])},
		InvolvedObject: corev1.ObjectReference{
			Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
		},
		Type: corev1.EventTypeWarning, Reason: reason, Message: message,
		Source:         corev1.EventSource{Component: "berth"},
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("telling claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}
