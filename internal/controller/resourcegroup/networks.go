package resourcegroup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	v1alpha1 "berth.dev/berth/api/resources/v1alpha1"
)

// networks deletes the group's networks, then what their subnets refer to, after
// the clusters in them, and says which are left.
func (c *Controller) networks(ctx context.Context, group *v1alpha1.ResourceGroup) (waits string, err error) {
	for _, list := range []client.ObjectList{
		&networkv1.VirtualNetworkList{}, &networkv1.NetworkSecurityGroupList{}, &networkv1.RouteTableList{}, &networkv1.AddressReservationList{},
	} {
		if err := c.reader.List(ctx, list); err != nil {
			return "", fmt.Errorf("listing network resources: %w", err)
		}
		var left []string
		var errs []error
		items, err := apimeta.ExtractList(list)
		if err != nil {
			return "", fmt.Errorf("listing network resources: %w", err)
		}
		for _, item := range items {
			o, is := item.(networkv1.Object)
			if !is || !holds(group, o) {
				continue
			}
			left = append(left, o.Common().ResourceID)
			if o.GetDeletionTimestamp() == nil {
				if err := c.client.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
					errs = append(errs, fmt.Errorf("deleting %s: %w", o.Common().ResourceID, err))
				}
			}
		}
		if len(left) > 0 {
			slices.Sort(left)
			return "waiting for the network resources " + strings.Join(left[:min(len(left), 5)], ", ") + " to be deleted", errors.Join(errs...)
		}
	}
	return "", nil
}

// lies says whether an ARM id lies in a group.
func lies(group *v1alpha1.ResourceGroup, id string) bool {
	within := "/subscriptions/" + group.Spec.SubscriptionID + "/resourceGroups/" + group.Spec.Name + "/"
	return len(id) > len(within) && strings.EqualFold(id[:len(within)], within)
}
