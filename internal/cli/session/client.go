package session

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
)

// ARM is a client of what no library of its own knows.
func (s *Session) ARM() (*arm.Client, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	return arm.NewClient("berth", "v1.0.0", c.credential, c.options)
}

// Authorization makes clients of roles and their assignments.
func (s *Session) Authorization() (*armauthorization.ClientFactory, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	return armauthorization.NewClientFactory(c.cloud.SubscriptionID, c.credential, c.options)
}

// ResourceGroups is a client of the subscription's resource groups.
func (s *Session) ResourceGroups() (*armresources.ResourceGroupsClient, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	return armresources.NewResourceGroupsClient(c.cloud.SubscriptionID, c.credential, c.options)
}

// ManagedClusters is a client of the subscription's managed clusters.
func (s *Session) ManagedClusters() (*armcontainerservice.ManagedClustersClient, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	return armcontainerservice.NewManagedClustersClient(c.cloud.SubscriptionID, c.credential, c.options)
}

// MaintenanceConfigurations is a client of when clusters may be worked on.
func (s *Session) MaintenanceConfigurations() (*armcontainerservice.MaintenanceConfigurationsClient, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	return armcontainerservice.NewMaintenanceConfigurationsClient(c.cloud.SubscriptionID, c.credential, c.options)
}

// Machines is a client of the machines of the subscription's node pools.
func (s *Session) Machines() (*armcontainerservice.MachinesClient, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	return armcontainerservice.NewMachinesClient(c.cloud.SubscriptionID, c.credential, c.options)
}

// AgentPools is a client of the node pools of the subscription's clusters.
func (s *Session) AgentPools() (*armcontainerservice.AgentPoolsClient, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	return armcontainerservice.NewAgentPoolsClient(c.cloud.SubscriptionID, c.credential, c.options)
}

// reachable is a credential whose errors say that the service cannot be
// reached where that is why there is no token; the library keeps only a text.
type reachable struct {
	azcore.TokenCredential
	transport *transport
}

// GetToken gets a token.
func (r reachable) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := r.TokenCredential.GetToken(ctx, options)
	if err != nil && r.transport.last != nil {
		return token, r.transport.last
	}
	if err != nil && ctx.Err() != nil {
		return token, ctx.Err()
	}
	return token, err
}
