package disk

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/naming"
)

const (
	// volumeFinalizer holds a volume until its disk is deleted; it is the name that
	// every driver's provisioner has, and the cluster's own controllers know.
	volumeFinalizer = "external-provisioner.volume.kubernetes.io/finalizer"
	provisionedBy   = "pv.kubernetes.io/provisioned-by"
	// fileSystem is what disks have.
	fileSystem = "xfs"
	// largest is AKS's largest disk, in GiB.
	largest = 32767
)

// provision makes a disk for each claim that has no volume, and the volume once
// the disk is there.
func (c *Controller) provision(ctx context.Context, s *scope) error {
	var errs []error
	for _, claim := range s.claims {
		if claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || s.volumes[volumeName(claim)] != nil || claim.Spec.StorageClassName == nil {
			continue
		}
		if err := c.provisionClaim(ctx, s, claim); err != nil {
			errs = append(errs, fmt.Errorf("provisioning claim %s/%s: %w", claim.Namespace, claim.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Controller) provisionClaim(ctx context.Context, s *scope, claim *corev1.PersistentVolumeClaim) error {
	class := &storagev1.StorageClass{}
	if err := s.tenant.Client.Get(ctx, client.ObjectKey{Name: *claim.Spec.StorageClassName}, class); err != nil {
		return client.IgnoreNotFound(err)
	}
	waits := class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
	if class.Provisioner != Driver || waits && claim.Annotations[selectedNodeAnnotation] == "" {
		return nil
	}
	size := gibibytes(claim.Spec.Resources.Requests.Storage().Value())
	if why := refusal(claim, class, size); why != "" {
		return c.tell(ctx, s, claim, "ProvisioningFailed", why)
	}
	disk, err := c.ensureDisk(ctx, s, claim, max(size, 1))
	if err != nil {
		return err
	}
	if !containerservicev1.ConditionTrue(disk.Status.Conditions, containerservicev1.ConditionReady) || disk.Status.SizeGiB < disk.Spec.SizeGiB {
		if message := failure(disk); message != "" {
			return c.tell(ctx, s, claim, "ProvisioningFailed", message)
		}
		return nil // the disk's status wakes this controller
	}
	volume := newVolume(claim, class, disk)
	if err := s.tenant.Client.Create(ctx, volume); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making the volume: %w", err)
	}
	return nil
}

// failure is what the host says of a disk that it cannot make.
func failure(disk *containerservicev1.Disk) string {
	for _, condition := range disk.Status.Conditions {
		if condition.Type == containerservicev1.ConditionReady && condition.Status != metav1.ConditionTrue && condition.Reason == "AllocationFailed" {
			return condition.Message
		}
	}
	return ""
}

// refusal says why a claim gets no disk; empty if it gets one.
func refusal(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, size int64) string {
	for _, mode := range claim.Spec.AccessModes {
		if mode != corev1.ReadWriteOnce && mode != corev1.ReadWriteOncePod {
			return fmt.Sprintf("a disk is in one node at a time: the access mode %s is not built, use ReadWriteOnce", mode)
		}
	}
	for key, value := range class.Parameters {
		name := strings.ToLower(strings.TrimPrefix(key, "csi.storage.k8s.io/"))
		if name == "fstype" && value != "" && value != fileSystem {
			return fmt.Sprintf("disks have the file system %s: leave %s out of class %s, or set it to %s", fileSystem, key, class.Name, fileSystem)
		}
	}
	switch {
	case claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode != corev1.PersistentVolumeFilesystem:
		return "block devices are not built: use volumeMode Filesystem"
	case claim.Spec.DataSource != nil || claim.Spec.DataSourceRef != nil:
		return "snapshots and clones of disks are not built: leave dataSource out"
	case len(class.MountOptions) > 0:
		return fmt.Sprintf("mount options are not built: leave mountOptions out of class %s", class.Name)
	case size > largest:
		return fmt.Sprintf("a disk has at most %d GiB, and the claim asks for %d", largest, size)
	}
	return ""
}

// ensureDisk is the disk of a claim. Its name is the claim's for good, so that one
// that was made right before a crash is found again.
func (c *Controller) ensureDisk(ctx context.Context, s *scope, claim *corev1.PersistentVolumeClaim, size int64) (*containerservicev1.Disk, error) {
	name := s.diskName(string(claim.UID))
	for _, disk := range s.disks {
		if disk.Name == name {
			return disk, nil
		}
	}
	disk := &containerservicev1.Disk{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: containerservicev1.DiskSpec{
			ClusterName: s.cluster.Name, ClusterIncarnation: s.tenant.Incarnation, Incarnation: naming.Incarnation(),
			HostName: naming.LocalHost, Claim: claim.Namespace + "/" + claim.Name, SizeGiB: int32(size),
		},
	}
	if err := c.config.Client.Create(ctx, disk); err != nil {
		return nil, fmt.Errorf("making the disk: %w", err)
	}
	s.disks[disk.Spec.Incarnation] = disk
	return disk, nil
}

// newVolume is the volume that stands for a disk in the tenant.
func newVolume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, disk *containerservicev1.Disk) *corev1.PersistentVolume {
	mode, policy := corev1.PersistentVolumeFilesystem, corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		policy = *class.ReclaimPolicy
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: volumeName(claim), Annotations: map[string]string{provisionedBy: Driver}, Finalizers: []string{volumeFinalizer},
		},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: claim.Spec.AccessModes, Capacity: storage(disk.Spec.SizeGiB), VolumeMode: &mode,
			PersistentVolumeReclaimPolicy: policy, StorageClassName: class.Name,
			ClaimRef: &corev1.ObjectReference{
				Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: Driver, VolumeHandle: disk.Spec.Incarnation, FSType: fileSystem,
			}},
		},
	}
}

// storage is a size as Kubernetes writes it.
func storage(gib int32) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: *resource.NewQuantity(int64(gib)<<30, resource.BinarySI)}
}
