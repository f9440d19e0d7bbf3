package disk

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// expand makes disks grow whose claims ask for more: first the disk, by the host,
// then the volume says its new size, and last the kubelet takes note of it.
func (c *Controller) expand(ctx context.Context, s *scope) error {
	var errs []error
	for _, volume := range s.volumes {
		disk := s.diskOf(volume)
		if disk == nil || volume.Spec.ClaimRef == nil || volume.Status.Phase != corev1.VolumeBound {
			continue
		}
		claim := s.claims[string(volume.Spec.ClaimRef.UID)]
		if claim == nil || claim.Status.Phase != corev1.ClaimBound {
			continue
		}
		if err := c.expandClaim(ctx, s, claim, volume, disk); err != nil {
			errs = append(errs, fmt.Errorf("growing claim %s/%s: %w", claim.Namespace, claim.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Controller) expandClaim(
	ctx context.Context, s *scope, claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume, disk *containerservicev1.Disk,
) error {
	wanted := gibibytes(claim.Spec.Resources.Requests.Storage().Value())
	if wanted > largest {
		return c.tell(ctx, s, claim, "VolumeResizeFailed", fmt.Sprintf("a disk has at most %d GiB, and the claim asks for %d", largest, wanted))
	}
	if int64(disk.Spec.SizeGiB) < wanted {
		return c.patchDisk(ctx, s, disk, func(d *containerservicev1.Disk) { d.Spec.SizeGiB = int32(wanted) })
	}
	size := storage(disk.Status.SizeGiB)
	if !settledDisk(disk) || volume.Spec.Capacity.Storage().Cmp(*size.Storage()) > 0 {
		return nil // the disk's status wakes this controller
	}
	if volume.Spec.Capacity.Storage().Cmp(*size.Storage()) < 0 {
		changed := volume.DeepCopy()
		changed.Spec.Capacity = size
		if err := s.tenant.Client.Patch(ctx, changed, client.MergeFrom(volume)); err != nil {
			return err
		}
	}
	status := claim.Status
	if status.Capacity.Storage().Cmp(*size.Storage()) >= 0 || status.AllocatedResourceStatuses[corev1.ResourceStorage] != "" {
		return nil
	}
	changed := claim.DeepCopy()
	if changed.Status.AllocatedResources == nil {
		changed.Status.AllocatedResources = corev1.ResourceList{}
	}
	changed.Status.AllocatedResources[corev1.ResourceStorage] = *size.Storage()
	changed.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{
		corev1.ResourceStorage: corev1.PersistentVolumeClaimNodeResizePending,
	}
	changed.Status.Conditions = append(changed.Status.Conditions, corev1.PersistentVolumeClaimCondition{
		Type: corev1.PersistentVolumeClaimFileSystemResizePending, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(s.now),
		Message: "the disk has grown; the node takes note of it when a pod uses the volume",
	})
	return s.tenant.Client.Status().Patch(ctx, changed, client.MergeFromWithOptions(claim, client.MergeFromWithOptimisticLock{}))
}
