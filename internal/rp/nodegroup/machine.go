package nodegroup

import (
	"slices"
	"strconv"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
)

// portOf is the place of a machine in its network, nil without one.
func portOf(network *networkv1.VirtualNetwork, m *containerservicev1.Machine) *networkv1.Port {
	if network == nil {
		return nil
	}
	spec := network.Spec.Current()
	i := slices.IndexFunc(spec.Ports, func(p networkv1.Port) bool { return p.MachineName == m.Name })
	if i < 0 {
		return nil
	}
	return &spec.Ports[i]
}

// configurations are the addresses of a cluster's machines as references.
func (s *state) configurations(c *containerservicev1.ManagedCluster, network *networkv1.VirtualNetwork) []object {
	list := []object{}
	for _, m := range s.machinesOf(c) {
		if portOf(network, m) != nil {
			list = append(list, object{"id": InterfaceID(c, m.Spec.NodeName) + "/ipConfigurations/ipconfig1"})
		}
	}
	return list
}

// networkInterfaces are those of the clusters' nodes.
func (s *state) networkInterfaces() ([]resource, error) {
	var all []resource
	for i := range s.clusters {
		cluster := &s.clusters[i]
		network := s.network(cluster)
		for _, m := range s.machinesOf(cluster) {
			port := portOf(network, m)
			id, err := arm.ParseResourceID(InterfaceID(cluster, m.Spec.NodeName))
			if err != nil {
				return nil, err
			}
			if port == nil {
				continue
			}
			all = append(all, resource{id: id, cluster: cluster, created: m.CreationTimestamp.Time, around: object{"etag": etag(m.UID, *port)}, properties: object{
				"provisioningState": progress(m, containerservicev1.ConditionNetworked), "resourceGuid": string(m.UID), "primary": true,
				"ipConfigurations": addresses(id.String(), network, port), "virtualMachine": object{"id": instanceOf(m)}, "dnsSettings": object{"dnsServers": []string{}},
				"enableIPForwarding": true, "enableAcceleratedNetworking": false, "hostedWorkloads": []string{}, "tapConfigurations": []any{}, "nicType": "Standard",
			}})
		}
	}
	return all, nil
}

// addresses are a port's, the machine's own first and those of its pods then.
func addresses(id string, network *networkv1.VirtualNetwork, port *networkv1.Port) []object {
	podSubnet := port.PodSubnet
	if podSubnet == "" {
		podSubnet = port.Subnet
	}
	var list []object
	for i, address := range append([]string{port.Address}, port.PodAddresses...) {
		subnet, name := podSubnet, "ipconfig"+strconv.Itoa(i+1)
		if i == 0 {
			subnet = port.Subnet
		}
		list = append(list, object{"id": id + "/ipConfigurations/" + name, "name": name, "type": Network + "/networkInterfaces/ipConfigurations", "properties": object{
			"provisioningState": "Succeeded", "privateIPAddress": address, "privateIPAddressVersion": "IPv4", "privateIPAllocationMethod": "Dynamic",
			"primary": i == 0, "subnet": object{"id": network.Spec.ResourceID + "/subnets/" + subnet},
		}})
	}
	return list
}

// instanceOf is the ARM id in a machine's provider id.
func instanceOf(m *containerservicev1.Machine) string {
	return strings.TrimPrefix(m.Spec.ProviderID, "azure://")
}

// progress is a machine's provisioning state, by a condition of it.
func progress(m *containerservicev1.Machine, condition string) string {
	switch {
	case m.DeletionTimestamp != nil:
		return "Deleting"
	case apimeta.IsStatusConditionTrue(m.Status.Conditions, condition) || m.Deallocated():
		return "Succeeded"
	}
	return "Creating"
}

// power is what an instance view says of a machine.
func power(m *containerservicev1.Machine) string {
	switch {
	case m.Spec.PowerState == meta.PowerStopped:
		return "deallocated"
	case apimeta.IsStatusConditionTrue(m.Status.Conditions, containerservicev1.ConditionProvisioned):
		return "running"
	}
	return "starting"
}

// scaleSets are one a pool.
func (s *state) scaleSets() ([]resource, error) {
	var all []resource
	for i := range s.clusters {
		cluster := &s.clusters[i]
		network := s.network(cluster)
		for j := range cluster.Spec.AgentPools {
			profile := &cluster.Spec.AgentPools[j]
			pool := s.pool(cluster, profile)
			if pool == nil {
				continue // nothing of it was made yet
			}
			id := in(cluster, Compute, "virtualMachineScaleSets", naming.ScaleSet(profile.Name, profile.Incarnation))
			tags := map[string]string{
				"aks-managed-poolName": profile.Name, "aks-managed-orchestrator": "Kubernetes:" + profile.OrchestratorVersion,
				"aks-managed-createOperationID": string(cluster.UID), "poolName": profile.Name, "orchestrator": "Kubernetes:" + profile.OrchestratorVersion,
			}
			for key, value := range profile.Tags {
				tags[key] = value
			}
			all = append(all, resource{id: id, cluster: cluster, tags: tags, created: pool.CreationTimestamp.Time,
				around:     object{"sku": object{"name": profile.VMSize, "tier": "Standard", "capacity": profile.Count}},
				properties: s.scaleSet(cluster, profile, network)})
		}
	}
	return all, nil
}

func (s *state) scaleSet(c *containerservicev1.ManagedCluster, profile *containerservicev1.AgentPoolProfile, network *networkv1.VirtualNetwork) object {
	subnet := profile.VNetSubnetID
	if subnet == "" && network != nil {
		if subnets := network.Spec.Current().Subnets; len(subnets) > 0 {
			subnet = network.Spec.ResourceID + "/subnets/" + subnets[0].Name
		}
	}
	set := naming.ScaleSet(profile.Name, profile.Incarnation)
	return object{
		"provisioningState": c.DerivePoolProvisioningState(profile.Name, s.pool(c, profile)), "orchestrationMode": "Uniform", "singlePlacementGroup": false,
		"overprovision": false, "platformFaultDomainCount": 1, "upgradePolicy": object{"mode": "Manual"}, "uniqueId": naming.GUID(profile.Incarnation),
		"virtualMachineProfile": object{
			"osProfile":      object{"computerNamePrefix": set, "linuxConfiguration": object{"disablePasswordAuthentication": true}},
			"storageProfile": object{"osDisk": object{"osType": "Linux", "createOption": "FromImage", "diskSizeGB": profile.OSDiskSizeGB}},
			"networkProfile": object{"networkInterfaceConfigurations": []object{{"name": set, "properties": object{
				"primary": true, "enableIPForwarding": true,
				"ipConfigurations": []object{{"name": "ipconfig1", "properties": object{"primary": true, "subnet": object{"id": subnet}, "privateIPAddressVersion": "IPv4"}}},
			}}}},
		},
	}
}

// pool is the object of a pool, nil while there is none.
func (s *state) pool(c *containerservicev1.ManagedCluster, profile *containerservicev1.AgentPoolProfile) *containerservicev1.AgentPool {
	for i := range s.pools.Items {
		if s.pools.Items[i].Spec.ClusterName == c.Name && s.pools.Items[i].Spec.Profile.Name == profile.Name {
			return &s.pools.Items[i]
		}
	}
	return nil
}

// instances are the machines of the clusters.
func (s *state) instances() ([]resource, error) {
	var all []resource
	for i := range s.clusters {
		cluster := &s.clusters[i]
		for _, m := range s.machinesOf(cluster) {
			id, err := arm.ParseResourceID(instanceOf(m))
			if err != nil {
				return nil, err
			}
			around := object{"instanceId": id.Name(), "name": id.Names[0] + "_" + id.Name(), "sku": object{"name": m.Spec.VMSize, "tier": "Standard"}}
			if m.Spec.Zone != "" {
				around["zones"] = []string{m.Spec.Zone}
			}
			all = append(all, resource{id: id, cluster: cluster, created: m.CreationTimestamp.Time, around: around, power: power(m), properties: object{
				"provisioningState": progress(m, containerservicev1.ConditionProvisioned), "latestModelApplied": true, "vmId": string(m.UID),
				"osProfile":       object{"computerName": m.Spec.NodeName, "linuxConfiguration": object{"disablePasswordAuthentication": true}},
				"storageProfile":  object{"osDisk": object{"osType": "Linux", "createOption": "FromImage", "diskSizeGB": m.Spec.OSDiskSizeGB}},
				"networkProfile":  object{"networkInterfaces": []object{{"id": InterfaceID(cluster, m.Spec.NodeName), "properties": object{"primary": true}}}},
				"hardwareProfile": object{}, "timeCreated": m.CreationTimestamp.UTC().Format("2006-01-02T15:04:05Z"),
			}})
		}
	}
	return all, nil
}
