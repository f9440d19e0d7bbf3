package disk

import (
	"context"
	"errors"
	"fmt"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// attachmentFinalizer holds an attachment until the disk is out of its machine; the
// cluster's own controllers know it by this form.
const attachmentFinalizer = "external-attacher/disk-csi-azure-com"

// attach brings disks into the machines of the nodes that they are asked for on,
// and out again. A disk that is still in another machine stays there until its
// attachment there is gone.
func (c *Controller) attach(ctx context.Context, s *scope) error {
	var errs []error
	for _, leaving := range []bool{true, false} { // who leaves goes first
		for _, attachment := range s.attachments {
			if (attachment.DeletionTimestamp != nil) != leaving {
				continue
			}
			step := c.bring
			if leaving {
				step = c.takeOut
			}
			if err := step(ctx, s, attachment); err != nil {
				errs = append(errs, fmt.Errorf("attachment %s: %w", attachment.Name, client.IgnoreNotFound(err)))
			}
		}
	}
	return errors.Join(errs...)
}

// diskFor is the disk of an attachment; nil if there is none.
func (s *scope) diskFor(attachment *storagev1.VolumeAttachment) *containerservicev1.Disk {
	if attachment.Spec.Source.PersistentVolumeName == nil {
		return nil
	}
	volume := s.volumes[*attachment.Spec.Source.PersistentVolumeName]
	if volume == nil {
		return nil
	}
	return s.diskOf(volume)
}

// bring brings a disk into the machine of an attachment's node.
func (c *Controller) bring(ctx context.Context, s *scope, attachment *storagev1.VolumeAttachment) error {
	if attachment.Status.Attached {
		return nil
	}
	disk, machine := s.diskFor(attachment), s.machines[attachment.Spec.NodeName]
	switch {
	case disk == nil:
		return c.refuse(ctx, s, attachment, "the volume's disk does not exist (any more)")
	case machine == nil:
		return c.refuse(ctx, s, attachment, "node "+attachment.Spec.NodeName+" is no machine of this cluster")
	}
	held := attachment.DeepCopy()
	if controllerutil.AddFinalizer(held, attachmentFinalizer) {
		patch := client.MergeFromWithOptions(attachment, client.MergeFromWithOptimisticLock{})
		if err := s.tenant.Client.Patch(ctx, held, patch); err != nil {
			return err
		}
	}
	in := disk.Spec.MachineIncarnation
	switch {
	case in == "" || in != machine.Spec.Incarnation && !s.lives(in):
		return c.patchDisk(ctx, s, disk, func(d *containerservicev1.Disk) { d.Spec.MachineIncarnation = machine.Spec.Incarnation })
	case in != machine.Spec.Incarnation:
		return c.refuse(ctx, s, held, "the disk is still in another node")
	case !settledDisk(disk) || !disk.Status.Mounted || disk.Status.MachineIncarnation != in:
		return nil // the disk's status wakes this controller
	}
	changed := held.DeepCopy()
	changed.Status.Attached, changed.Status.AttachError = true, nil
	return s.tenant.Client.Status().Patch(ctx, changed, client.MergeFrom(held))
}

// lives says whether the cluster has a machine of an incarnation.
func (s *scope) lives(incarnation string) bool {
	for _, machine := range s.machines {
		if machine.Spec.Incarnation == incarnation {
			return true
		}
	}
	return false
}

// refuse says in an attachment why the disk does not come.
func (c *Controller) refuse(ctx context.Context, s *scope, attachment *storagev1.VolumeAttachment, why string) error {
	if known := attachment.Status.AttachError; known != nil && known.Message == why {
		return nil
	}
	changed := attachment.DeepCopy()
	changed.Status.AttachError = &storagev1.VolumeError{Time: metav1.NewTime(s.now), Message: why}
	return s.tenant.Client.Status().Patch(ctx, changed, client.MergeFrom(attachment))
}

// takeOut takes a disk out of the machine of an attachment that goes, and lets the
// attachment go once the host has done so.
func (c *Controller) takeOut(ctx context.Context, s *scope, attachment *storagev1.VolumeAttachment) error {
	if !controllerutil.ContainsFinalizer(attachment, attachmentFinalizer) {
		return nil
	}
	if disk := s.diskFor(attachment); disk != nil && s.heldBy(disk, attachment) {
		if disk.Spec.MachineIncarnation != "" {
			return c.patchDisk(ctx, s, disk, func(d *containerservicev1.Disk) { d.Spec.MachineIncarnation = "" })
		}
		if !settledDisk(disk) || disk.Status.MachineIncarnation != "" {
			return nil // the disk's status wakes this controller
		}
	}
	changed := attachment.DeepCopy()
	controllerutil.RemoveFinalizer(changed, attachmentFinalizer)
	return s.tenant.Client.Patch(ctx, changed, client.MergeFromWithOptions(attachment, client.MergeFromWithOptimisticLock{}))
}

// heldBy says whether a disk is where it is for this attachment, or on its way
// out; not, if it has come into another of the cluster's machines since.
func (s *scope) heldBy(disk *containerservicev1.Disk, attachment *storagev1.VolumeAttachment) bool {
	in := disk.Spec.MachineIncarnation
	machine := s.machines[attachment.Spec.NodeName]
	return in == "" || machine != nil && machine.Spec.Incarnation == in || !s.lives(in)
}
