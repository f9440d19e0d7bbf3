package disk

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// retainedAnnotation is on a disk whose volume was to be retained and is gone: it
// stays until its cluster goes, and a volume that names it has it again.
const retainedAnnotation = "containerservice.berth.dev/retained"

// reclaim deletes the disks of volumes that nobody claims any more, and then the volumes.
func (c *Controller) reclaim(ctx context.Context, s *scope) error {
	var errs []error
	for _, volume := range s.volumes {
		deleting := volume.DeletionTimestamp != nil
		released := volume.Status.Phase == corev1.VolumeReleased || volume.Status.Phase == corev1.VolumeFailed
		mine := volume.Annotations[provisionedBy] == Driver || controllerutil.ContainsFinalizer(volume, volumeFinalizer)
		if !mine || !deleting && !released || volume.Status.Phase == corev1.VolumeBound || s.attached(volume.Name) {
			continue
		}
		step := c.deleteVolume
		if volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
			if !deleting {
				continue
			}
			step = c.retainDisk
		}
		if err := step(ctx, s, volume); err != nil {
			errs = append(errs, fmt.Errorf("reclaiming volume %s: %w", volume.Name, client.IgnoreNotFound(err)))
		}
	}
	return errors.Join(errs...)
}

// attached says whether anything asks for a volume on a node.
func (s *scope) attached(volume string) bool {
	for _, attachment := range s.attachments {
		if name := attachment.Spec.Source.PersistentVolumeName; name != nil && *name == volume {
			return true
		}
	}
	return false
}

func (c *Controller) deleteVolume(ctx context.Context, s *scope, volume *corev1.PersistentVolume) error {
	if disk := s.diskOf(volume); disk != nil {
		if disk.DeletionTimestamp != nil {
			return nil // its end wakes this controller
		}
		return c.config.Client.Delete(ctx, disk, client.Preconditions{UID: &disk.UID})
	}
	if volume.DeletionTimestamp == nil {
		if err := s.tenant.Client.Delete(ctx, volume, client.Preconditions{UID: &volume.UID}); err != nil {
			return err
		}
	}
	return c.letGo(ctx, s, volume)
}

// retainDisk lets a volume go and keeps its disk.
func (c *Controller) retainDisk(ctx context.Context, s *scope, volume *corev1.PersistentVolume) error {
	if disk := s.diskOf(volume); disk != nil && disk.Annotations[retainedAnnotation] == "" {
		err := c.patchDisk(ctx, s, disk, func(d *containerservicev1.Disk) {
			if d.Annotations == nil {
				d.Annotations = map[string]string{}
			}
			d.Annotations[retainedAnnotation] = "true"
		})
		if err != nil {
			return err
		}
	}
	return c.letGo(ctx, s, volume)
}

func (c *Controller) letGo(ctx context.Context, s *scope, volume *corev1.PersistentVolume) error {
	changed := volume.DeepCopy()
	if !controllerutil.RemoveFinalizer(changed, volumeFinalizer) {
		return nil
	}
	return s.tenant.Client.Patch(ctx, changed, client.MergeFrom(volume))
}

// forget deletes the disks of claims that went before they had a volume.
func (c *Controller) forget(ctx context.Context, s *scope) error {
	used := map[string]bool{}
	for _, volume := range s.volumes {
		used[volume.Spec.CSI.VolumeHandle] = true
	}
	var errs []error
	for id, disk := range s.disks {
		uid := strings.TrimSuffix(strings.TrimPrefix(disk.Name, "pvc-"), "-"+s.tenant.Incarnation)
		if used[id] || s.claims[uid] != nil || disk.Annotations[retainedAnnotation] != "" || disk.DeletionTimestamp != nil {
			continue
		}
		gone, err := s.forgotten(ctx, disk, uid)
		if err == nil && gone {
			err = c.config.Client.Delete(ctx, disk, client.Preconditions{UID: &disk.UID})
		}
		errs = append(errs, client.IgnoreNotFound(err))
	}
	return errors.Join(errs...)
}

// forgotten asks the API server itself, since a cache may lag behind.
func (s *scope) forgotten(ctx context.Context, disk *containerservicev1.Disk, uid string) (bool, error) {
	err := s.tenant.Client.Get(ctx, client.ObjectKey{Name: "pvc-" + uid}, &corev1.PersistentVolume{})
	if !apierrors.IsNotFound(err) {
		return false, err
	}
	namespace, name, _ := strings.Cut(disk.Spec.Claim, "/")
	claim := &corev1.PersistentVolumeClaim{}
	err = s.tenant.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, claim)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return err == nil && string(claim.UID) != uid, err
}
