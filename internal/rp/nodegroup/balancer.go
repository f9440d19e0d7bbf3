package nodegroup

import (
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	apimeta "k8s.io/apimachinery/pkg/api/meta"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// defaultIdle is after how many seconds a silent connection is forgotten.
const defaultIdle = 240

// loadBalancers are the balancers of the clusters: one for public addresses,
// and one for those of the network if a service asked for one.
func (s *state) loadBalancers() ([]resource, error) {
	var all []resource
	for i := range s.clusters {
		cluster := &s.clusters[i]
		for j := range s.balancers.Items {
			balancer := &s.balancers.Items[j]
			if balancer.Name != cluster.Spec.Incarnation {
				continue
			}
			all = append(all, s.loadBalancer(cluster, balancer, false))
			if internal := s.loadBalancer(cluster, balancer, true); len(internal.properties["frontendIPConfigurations"].([]object)) > 0 { //nolint:errcheck,forcetypeassert // made below
				all = append(all, internal)
			}
		}
	}
	return all, nil
}

// balanced is a balancer on its way to the wire.
type balanced struct {
	id        string
	state     string
	frontends []object
	rules     []object
	probes    []object
	byAddress map[string]object
}

func (s *state) loadBalancer(c *containerservicev1.ManagedCluster, b *networkv1.LoadBalancer, internal bool) resource {
	id, err := arm.ParseResourceID(LoadBalancerID(c, internal))
	if err != nil {
		return resource{} // it was made a line above
	}
	w := &balanced{id: id.String(), state: "Updating", byAddress: map[string]object{}, frontends: []object{}, rules: []object{}, probes: []object{}}
	if apimeta.IsStatusConditionTrue(b.Status.Conditions, "Ready") && b.Status.ObservedGeneration >= b.Generation {
		w.state = "Succeeded"
	}
	network := s.network(c)
	for _, frontend := range b.Spec.Frontends {
		if frontend.Internal == internal {
			s.addFrontend(w, c, network, frontend)
		}
	}
	pool := object{"id": w.id + "/backendAddressPools/kubernetes", "name": "kubernetes", "type": Network + "/loadBalancers/backendAddressPools",
		"properties": object{"provisioningState": w.state, "backendIPConfigurations": s.configurations(c, network)}}
	outbound := []object{}
	if !internal {
		outbound = s.addOutbound(w, c, network)
	}
	around := object{"sku": object{"name": "Standard", "tier": "Regional"}, "etag": etag(b.UID, b.Generation)}
	return resource{id: id, cluster: c, created: b.CreationTimestamp.Time, around: around, properties: object{
		"provisioningState": w.state, "resourceGuid": string(b.UID), "frontendIPConfigurations": w.frontends, "backendAddressPools": []object{pool},
		"loadBalancingRules": w.rules, "probes": w.probes, "outboundRules": outbound, "inboundNatRules": []object{}, "inboundNatPools": []object{},
	}}
}

// addFrontend adds a service: its address, which others may share, and its rules.
func (s *state) addFrontend(w *balanced, c *containerservicev1.ManagedCluster, network *networkv1.VirtualNetwork, f networkv1.Frontend) {
	front := w.byAddress[f.Address]
	if front == nil {
		properties := object{"provisioningState": w.state, "privateIPAllocationMethod": "Dynamic", "loadBalancingRules": []object{}}
		if f.Internal {
			properties["privateIPAddress"], properties["privateIPAddressVersion"] = f.Address, "IPv4"
			if network != nil {
				properties["subnet"] = object{"id": network.Spec.ResourceID + "/subnets/" + f.Subnet}
			}
		} else {
			properties["publicIPAddress"] = object{"id": PublicAddressID(c, "service/"+f.Service)}
		}
		front = w.add(ruleName(f.Service), properties)
		w.byAddress[f.Address] = front
	}
	idle := f.IdleTimeoutSeconds
	if idle == 0 {
		idle = defaultIdle
	}
	distribution := "Default"
	if f.AffinitySeconds > 0 {
		distribution = "SourceIP"
	}
	probe := f.HealthCheckNodePort
	if probe == 0 {
		probe = 10256 // kube-proxy's
	}
	for _, rule := range f.Rules {
		protocol := map[string]string{"TCP": "Tcp", "UDP": "Udp"}[rule.Protocol]
		name := ruleName(f.Service, rule.Protocol, strconv.Itoa(int(rule.Port)))
		ref := object{"id": w.id + "/loadBalancingRules/" + name}
		w.rules = append(w.rules, object{"id": ref["id"], "name": name, "type": Network + "/loadBalancers/loadBalancingRules", "properties": object{
			"provisioningState": w.state, "frontendIPConfiguration": object{"id": front["id"]}, "backendAddressPool": object{"id": w.id + "/backendAddressPools/kubernetes"},
			"protocol": protocol, "frontendPort": rule.Port, "backendPort": rule.NodePort, "idleTimeoutInMinutes": idle / 60, "enableTcpReset": !f.SilentOnIdle,
			"loadDistribution": distribution, "enableFloatingIP": false, "disableOutboundSnat": true, "probe": object{"id": w.id + "/probes/" + name},
		}})
		w.probes = append(w.probes, object{"id": w.id + "/probes/" + name, "name": name, "type": Network + "/loadBalancers/probes", "properties": object{
			"provisioningState": w.state, "protocol": "Http", "port": probe, "requestPath": "/healthz", "loadBalancingRules": []object{ref},
		}})
		properties := front["properties"].(object) //nolint:errcheck,forcetypeassert // made above
		properties["loadBalancingRules"] = append(properties["loadBalancingRules"].([]object), ref)
	}
}

// add adds a frontend of a name.
func (w *balanced) add(name string, properties object) object {
	front := object{"id": w.id + "/frontendIPConfigurations/" + name, "name": name, "type": Network + "/loadBalancers/frontendIPConfigurations", "properties": properties}
	w.frontends = append(w.frontends, front)
	return front
}

// addOutbound adds the addresses that the cluster's traffic leaves with.
func (s *state) addOutbound(w *balanced, c *containerservicev1.ManagedCluster, network *networkv1.VirtualNetwork) []object {
	if network == nil {
		return []object{}
	}
	for _, outbound := range network.Spec.Current().Outbounds {
		if outbound.ClusterIncarnation != c.Spec.Incarnation || outbound.Disabled {
			continue
		}
		rule := w.id + "/outboundRules/aksOutboundRule"
		var fronts []object
		for n := range outbound.Addresses {
			purpose := OutboundPurpose(n)
			front := w.add(PublicAddressName(c, purpose), object{"provisioningState": w.state, "privateIPAllocationMethod": "Dynamic",
				"publicIPAddress": object{"id": PublicAddressID(c, purpose)}, "outboundRules": []object{{"id": rule}}})
			fronts = append(fronts, object{"id": front["id"]})
		}
		return []object{{"id": rule, "name": "aksOutboundRule", "type": Network + "/loadBalancers/outboundRules", "properties": object{
			"provisioningState": w.state, "allocatedOutboundPorts": outbound.PortsPerNode, "protocol": "All", "enableTcpReset": true, "idleTimeoutInMinutes": defaultIdle / 60,
			"frontendIPConfigurations": fronts, "backendAddressPool": object{"id": w.id + "/backendAddressPools/kubernetes"},
		}}}
	}
	return []object{}
}

// etag is an entity tag in the form of Azure's network API.
func etag(parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	return `W/"` + uuid.NewSHA1(uuid.NameSpaceOID, sum[:]).String() + `"`
}
