package containerservice

import (
	"net/http"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/containerservice/maintenanceconfiguration"
)

// maintenanceRoutes are the routes of maintenance configurations.
func (p *Provider) maintenanceRoutes() []arm.Route {
	h := &maintenanceconfiguration.Handlers{
		Client: p.Client, Cluster: p.cluster, Wire: wireID, Now: p.Now,
		ID: func(c *containerservicev1alpha1.ManagedCluster) arm.ResourceID {
			return ClusterID(c.Spec.SubscriptionID, c.Spec.ResourceGroup, c.Spec.Name)
		},
	}
	const all, on = aCluster + "/maintenanceConfigurations", onClusters + "maintenanceConfigurations/"
	return []arm.Route{
		{Method: http.MethodGet, Pattern: all, Action: on + "read", Handle: h.List},
		{Method: http.MethodGet, Pattern: all + "/{configName}", Action: on + "read", Handle: h.Get},
		{Method: http.MethodPut, Pattern: all + "/{configName}", Action: on + "write", Handle: h.Put},
		{Method: http.MethodDelete, Pattern: all + "/{configName}", Action: on + "delete", Handle: h.Delete},
	}
}
