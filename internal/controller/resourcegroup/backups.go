package resourcegroup

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	v1alpha1 "berth.dev/berth/api/resources/v1alpha1"
)

// backups deletes the group's backups, after the clusters that may be restored
// from them, and says how many are left.
func (c *Controller) backups(ctx context.Context, group *v1alpha1.ResourceGroup) (waits string, err error) {
	var list containerservicev1.BackupList
	if err := c.reader.List(ctx, &list); err != nil {
		return "", fmt.Errorf("listing backups: %w", err)
	}
	left := 0
	var errs []error
	for i := range list.Items {
		backup := &list.Items[i]
		if !holds(group, backup) {
			continue
		}
		left++
		if backup.DeletionTimestamp == nil {
			if err := c.client.Delete(ctx, backup); client.IgnoreNotFound(err) != nil {
				errs = append(errs, fmt.Errorf("deleting backup %s: %w", backup.Name, err))
			}
		}
	}
	if left > 0 {
		waits = fmt.Sprintf("waiting for %d backups to be deleted", left)
	}
	return waits, errors.Join(errs...)
}
