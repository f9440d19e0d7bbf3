// Package resources is the resource provider Microsoft.Resources: tenants,
// subscriptions, locations, resource providers and resource groups. It writes
// ResourceGroup objects; what lies in a group belongs to other providers.
package resources

import (
	"context"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/operation"
)

// Resource is a resource of any type, as generic lists show it.
type Resource struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Location string            `json:"location"`
	Tags     map[string]string `json:"tags,omitempty"`
	// ProvisioningState and CreatedTime are in the answer if $expand asks for them.
	ProvisioningState string `json:"provisioningState,omitempty"`
	CreatedTime       string `json:"createdTime,omitempty"`
}

// Namespace is a resource provider that is registered.
type Namespace struct {
	// Name is e.g. Microsoft.ContainerService.
	Name string
	// Types are its resource types with their api-versions.
	Types []ResourceType
	// List lists the tracked resources in a subscription, or in one of its
	// groups if the group is not empty; nil without tracked resources.
	List func(ctx context.Context, subscriptionID, group string) ([]Resource, error)
	// HasNested says whether what is nested in a tracked resource is there; nil
	// if nothing is.
	HasNested func(ctx context.Context, id arm.ResourceID) (bool, error)
	// Holds is the error that keeps a group from being deleted because what lies
	// outside of it needs a resource in it; nil if nothing ever does.
	Holds func(ctx context.Context, subscriptionID, group string) error
}

// ResourceType is one type of a namespace.
type ResourceType struct {
	Name     string
	Versions []string
}

// Provider answers the routes of Microsoft.Resources.
type Provider struct {
	Client     client.Client
	Tokens     *identity.Service
	Operations operation.Store
	// Location is the only region.
	Location string
	// Namespaces are the registered resource providers.
	Namespaces []Namespace
	// Forward lets the resource provider of a path answer a request about it,
	// as this service's own and so without the caller's permission, which
	// whoever calls it has checked.
	Forward func(r *arm.Request, method, path string, body []byte) (Answer, error)
}

// CheckSubscription finds the subscription of a path and says whether it may
// be written to.
func (p *Provider) CheckSubscription(ctx context.Context, id string, write bool) error {
	subscription, err := p.subscription(ctx, id)
	if err != nil {
		return err
	}
	if write && subscription.Spec.State != "Enabled" {
		return arm.NewError(http.StatusConflict, "ReadOnlyDisabledSubscription",
			"The subscription '%s' is disabled and therefore marked as read only. You cannot perform any write actions on this subscription until it is re-enabled.", id)
	}
	return nil
}

func (p *Provider) subscription(ctx context.Context, id string) (*resourcesv1alpha1.Subscription, error) {
	var subscription resourcesv1alpha1.Subscription
	if !guid(id) {
		return nil, arm.NewError(http.StatusBadRequest, "InvalidSubscriptionId", "The provided subscription identifier '%.100s' is malformed or invalid.", id).At("subscriptionId")
	}
	err := p.Client.Get(ctx, client.ObjectKey{Name: strings.ToLower(id)}, &subscription)
	if apierrors.IsNotFound(err) {
		return nil, arm.NewError(http.StatusNotFound, "SubscriptionNotFound", "The subscription '%s' could not be found.", id).At("subscriptionId")
	}
	return &subscription, err
}

// GroupID is the ARM id of a resource group.
func GroupID(subscriptionID, group string) arm.ResourceID {
	return arm.ResourceID{SubscriptionID: subscriptionID, ResourceGroup: group}
}

// Group finds a resource group, being deleted or not.
func Group(ctx context.Context, c client.Client, subscriptionID, name string) (*resourcesv1alpha1.ResourceGroup, error) {
	var group resourcesv1alpha1.ResourceGroup
	err := c.Get(ctx, client.ObjectKey{Name: naming.Object(GroupID(subscriptionID, name).String())}, &group)
	if apierrors.IsNotFound(err) {
		return nil, arm.NewError(http.StatusNotFound, "ResourceGroupNotFound", "Resource group '%.100s' could not be found.", name).At("resourceGroupName")
	}
	if err != nil {
		return nil, err
	}
	return &group, nil
}

// WritableGroup finds a resource group that something may be written into.
func WritableGroup(ctx context.Context, c client.Client, subscriptionID, name string) (*resourcesv1alpha1.ResourceGroup, error) {
	group, err := Group(ctx, c, subscriptionID, name)
	if err != nil {
		return nil, err
	}
	if group.DeletionTimestamp != nil {
		return nil, beingDeleted(name)
	}
	return group, nil
}

func beingDeleted(name string) error {
	return arm.NewError(http.StatusConflict, "ResourceGroupBeingDeleted",
		"The resource group '%.100s' is in deprovisioning state and cannot perform this operation.", name).At("resourceGroupName")
}

// SameLocation compares two spellings of a region: case and spaces do not matter.
func SameLocation(a, b string) bool { return NormalLocation(a) == NormalLocation(b) }

// NormalLocation is a region's name in lower case without spaces.
func NormalLocation(location string) string {
	return strings.ToLower(strings.ReplaceAll(location, " ", ""))
}

func guid(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range strings.ToLower(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", c) {
			return false
		}
	}
	return true
}
