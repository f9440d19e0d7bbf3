// Package grant takes away the role assignments that would outlive what they
// were given on, or whom they were given to. A scope is a path: what is made
// later under the same name must not find the roles of its former self. Custom
// roles are the tenant's, so they stay when one of their assignable scopes goes.
package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	authorizationv1 "berth.dev/berth/api/authorization/v1alpha1"
	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	managedidentityv1 "berth.dev/berth/api/managedidentity/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
)

// Revoker deletes role assignments.
type Revoker struct {
	// Client deletes; Reader reads the API server itself: an assignment that a
	// cache has not seen yet would be left for ever.
	Client client.Client
	Reader client.Reader
}

// Revoke deletes every assignment at a scope or below it, and those of the
// principals of what is deleted, wherever they are. To call it again is
// harmless: it is done when nothing is left.
func (r Revoker) Revoke(ctx context.Context, scope string, principals ...string) error {
	if strings.Trim(scope, "/") == "" {
		return errors.New("revoking roles: no scope is named, and all would be meant")
	}
	return r.revoke(ctx, func(at string) bool { return identity.Covers(scope, at) }, principals)
}

// RevokeFrom deletes the assignments of principals that are no more, wherever
// they are. To call it again is harmless.
func (r Revoker) RevokeFrom(ctx context.Context, principals ...string) error {
	return r.revoke(ctx, func(string) bool { return false }, principals)
}

// revoke deletes the assignments at scopes that go, and those of principals that go.
func (r Revoker) revoke(ctx context.Context, goes func(scope string) bool, principals []string) error {
	var list authorizationv1.RoleAssignmentList
	if err := r.Reader.List(ctx, &list); err != nil {
		return fmt.Errorf("listing role assignments: %w", err)
	}
	var errs []error
	for i := range list.Items {
		assignment := &list.Items[i]
		given := slices.ContainsFunc(principals, func(principal string) bool {
			return principal != "" && strings.EqualFold(principal, assignment.Spec.PrincipalID)
		})
		if !given && !goes(assignment.Spec.Scope) {
			continue
		}
		if err := r.Client.Delete(ctx, assignment); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("deleting role assignment %s: %w", assignment.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Group is the scope of a resource group.
func Group(subscriptionID, name string) string {
	return arm.ResourceID{SubscriptionID: subscriptionID, ResourceGroup: name}.String()
}

// Cluster is the scope of a managed cluster.
func Cluster(cluster *containerservicev1.ManagedCluster) string { return clusterID(cluster).String() }

// AgentPool is the scope of a cluster's agent pool.
func AgentPool(cluster *containerservicev1.ManagedCluster, name string) string {
	return clusterID(cluster).Child("agentPools", name).String()
}

func clusterID(cluster *containerservicev1.ManagedCluster) arm.ResourceID {
	return arm.ResourceID{
		SubscriptionID: cluster.Spec.SubscriptionID, ResourceGroup: cluster.Spec.ResourceGroup, Provider: "Microsoft.ContainerService",
		Types: []string{"managedClusters"}, Names: []string{cluster.Spec.Name},
	}
}

// Identity is the scope of a user-assigned identity.
func Identity(identity *managedidentityv1.UserAssignedIdentity) string {
	return arm.ResourceID{
		SubscriptionID: identity.Spec.SubscriptionID, ResourceGroup: identity.Spec.ResourceGroup, Provider: "Microsoft.ManagedIdentity",
		Types: []string{"userAssignedIdentities"}, Names: []string{identity.Spec.Name},
	}.String()
}
