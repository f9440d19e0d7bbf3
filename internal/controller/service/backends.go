package service

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/controller/fleet"
	"berth.dev/berth/internal/tenant"
)

// readBackends finds the nodes in rotation: ready, not excluded, and a machine
// of Berth's that is not on its way out. The address is the Machine's: what a
// node says of itself is the tenant's to write.
func (c *Controller) readBackends(ctx context.Context, s *scope) error {
	var nodes corev1.NodeList
	if err := s.tenant.Reader.List(ctx, &nodes); err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	machines, err := fleet.Of(ctx, c.config.Client, s.cluster.Name)
	if err != nil {
		return err
	}
	addresses := map[string]string{}
	for _, machine := range machines {
		if machine.DeletionTimestamp == nil {
			addresses[machine.Spec.NodeName] = machine.Spec.Address
		}
	}
	s.nodes = map[string]string{}
	for i := range nodes.Items {
		node := &nodes.Items[i]
		if address, ok := addresses[node.Name]; ok && inRotation(node) {
			s.nodes[node.Name] = address
		}
	}
	return c.readEndpoints(ctx, s)
}

// inRotation says that a node may get traffic.
func inRotation(node *corev1.Node) bool {
	if _, excluded := node.Labels[corev1.LabelNodeExcludeBalancers]; excluded || node.DeletionTimestamp != nil {
		return false
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// readEndpoints finds the nodes with ready endpoints of the services that are
// local; only a cluster that has one is watched for it.
func (c *Controller) readEndpoints(ctx context.Context, s *scope) error {
	s.ready = map[string][]string{}
	for _, b := range s.services {
		if !wanted(b.service) || !local(b.service) {
			continue
		}
		filled, err := s.tenant.Follow(ctx, tenant.EndpointSlices)
		if err != nil || !filled {
			return err
		}
		var endpointSlices discoveryv1.EndpointSliceList
		err = s.tenant.Reader.List(ctx, &endpointSlices, client.InNamespace(b.service.Namespace),
			client.MatchingLabels{discoveryv1.LabelServiceName: b.service.Name})
		if err != nil {
			return fmt.Errorf("listing the endpoints of service %s: %w", key(b.service), err)
		}
		s.ready[key(b.service)] = readyNodes(endpointSlices.Items)
	}
	return nil
}

// readyNodes are the nodes that have a ready endpoint.
func readyNodes(endpointSlices []discoveryv1.EndpointSlice) []string {
	var nodes []string
	for _, slice := range endpointSlices {
		for _, endpoint := range slice.Endpoints {
			ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			if ready && endpoint.NodeName != nil {
				nodes = append(nodes, *endpoint.NodeName)
			}
		}
	}
	return nodes
}
