package containerservice

import (
	"net/http"
	"strings"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/naming"
)

// machines reads the machines of the pool in the path.
func (p *Provider) machines(r *arm.Request) (arm.ResourceID, []containerservicev1alpha1.Machine, error) {
	cluster, err := p.cluster(r)
	if err != nil {
		return arm.ResourceID{}, nil, err
	}
	profile := cluster.AgentPool(lowerName(r))
	if profile == nil {
		return arm.ResourceID{}, nil, poolNotFound(r)
	}
	var list containerservicev1alpha1.MachineList
	if err := p.Client.List(r.Context(), &list); err != nil {
		return arm.ResourceID{}, nil, err
	}
	pool := naming.AgentPool(profile.Name, profile.Incarnation)
	var machines []containerservicev1alpha1.Machine
	for _, machine := range list.Items {
		if machine.Spec.ClusterName == cluster.Name && machine.Spec.AgentPoolName == pool {
			machines = append(machines, machine)
		}
	}
	id := ClusterID(cluster.Spec.SubscriptionID, cluster.Spec.ResourceGroup, cluster.Spec.Name).Child("agentPools", profile.Name)
	return id, machines, nil
}

// machineBody is a machine on the wire; its name is that of its node.
func machineBody(pool arm.ResourceID, machine *containerservicev1alpha1.Machine) object {
	family := "IPv4"
	if strings.Contains(machine.Spec.Address, ":") {
		family = "IPv6"
	}
	return object{
		"id": wireID(pool.Child("machines", machine.Spec.NodeName)), "name": machine.Spec.NodeName,
		"type": Namespace + "/managedClusters/agentPools/machines",
		"properties": object{
			"network":    object{"ipAddresses": []object{{"family": family, "ip": machine.Spec.Address}}},
			"resourceId": machine.Spec.ProviderID,
		},
	}
}

func (p *Provider) listMachines(w http.ResponseWriter, r *arm.Request) error {
	id, machines, err := p.machines(r)
	if err != nil {
		return err
	}
	page, err := arm.Page(r, machines, func(m containerservicev1alpha1.Machine) string { return m.Spec.NodeName })
	if err != nil {
		return err
	}
	bodies := make([]object, 0, len(page.Value))
	for i := range page.Value {
		bodies = append(bodies, machineBody(id, &page.Value[i]))
	}
	return arm.WriteJSON(w, http.StatusOK, arm.List[object]{Value: bodies, NextLink: page.NextLink})
}

func (p *Provider) getMachine(w http.ResponseWriter, r *arm.Request) error {
	id, machines, err := p.machines(r)
	if err != nil {
		return err
	}
	for i := range machines {
		if strings.EqualFold(machines[i].Spec.NodeName, r.Param("machineName")) {
			return arm.WriteJSON(w, http.StatusOK, machineBody(id, &machines[i]))
		}
	}
	return arm.ResourceNotFound(id.Child("machines", r.Param("machineName")))
}

// listOutboundDependencies lists what the nodes of a cluster have to reach for
// the service's own part in it: their control plane, which is beside them, and
// nothing outside. Images, programs and packages come with the node; what the
// public service lists (registries, package mirrors, its own API) no node asks for.
func (p *Provider) listOutboundDependencies(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.cluster(r)
	if err != nil {
		return err
	}
	endpoints := []object{}
	if address := cluster.Status.Address; address != "" {
		endpoints = append(endpoints, object{"domainName": address, "endpointDetails": []object{
			{"port": 443, "protocol": "HTTPS", "description": "The cluster's own API server (" + cluster.Status.FQDN + ")."},
			{"port": controlplane.KonnectivityPort, "protocol": "HTTPS", "description": "The cluster's own konnectivity server, through which the API server reaches nodes and pods."},
		}})
	}
	return arm.WriteJSON(w, http.StatusOK, arm.List[object]{Value: []object{{"category": "control-plane", "endpoints": endpoints}}})
}
