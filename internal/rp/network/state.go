package network

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
)

// The provisioning states.
const (
	succeeded = "Succeeded"
	updating  = "Updating"
	deleting  = "Deleting"
	failed    = "Failed"
)

// state is a resource's provisioning state: what was asked for holds once
// whoever has to do it says so of the generation.
func (s *snapshot) state(k *kind, o networkv1.Object) (string, error) {
	if o.GetDeletionTimestamp() != nil {
		return deleting, nil
	}
	switch resource := o.(type) {
	case *networkv1.VirtualNetwork:
		return s.observed(resource.Generation, resource.Status.ObservedGeneration, resource.Status.Conditions), nil
	case *networkv1.AddressReservation:
		return s.observed(resource.Generation, resource.Status.ObservedGeneration, resource.Status.Conditions), nil
	}
	return s.applied(k, o)
}

// patience is how long something may fail and be tried again before its state
// says so: for a caller who polls, Failed is the end.
const patience = 30 * time.Second

func (s *snapshot) observed(generation, seen int64, conditions []metav1.Condition) string {
	ready := apimeta.FindStatusCondition(conditions, "Ready")
	switch {
	case ready == nil || seen < generation:
		return updating
	case ready.Status == metav1.ConditionTrue:
		return succeeded
	case s.now.Sub(ready.LastTransitionTime.Time) < patience:
		return updating
	}
	return failed
}

// applied is the state of what is programmed with the networks that refer to it.
func (s *snapshot) applied(k *kind, o networkv1.Object) (string, error) {
	if err := s.load(&s.networks); err != nil {
		return "", err
	}
	for i := range s.networks.Items {
		network := &s.networks.Items[i]
		if network.DeletionTimestamp != nil || !refers(network, k, o.GetName()) {
			continue
		}
		if state := s.observed(network.Generation, network.Status.ObservedGeneration, network.Status.Conditions); state == failed {
			return failed, nil
		}
		done := false
		for _, a := range network.Status.Applied {
			done = done || a.Kind == k.hub && a.Name == o.GetName() && a.UID == string(o.GetUID()) && a.Generation >= o.GetGeneration()
		}
		if !done {
			return updating, nil
		}
	}
	return succeeded, nil
}

func refers(network *networkv1.VirtualNetwork, k *kind, name string) bool {
	for _, subnet := range network.Spec.Subnets {
		if k.hub == "NetworkSecurityGroup" && subnet.NetworkSecurityGroupName == name || k.hub == "RouteTable" && subnet.RouteTableName == name {
			return true
		}
	}
	return false
}

// etag is the entity tag of what callers ask of a resource, children
// included. What the service itself does to a resource leaves it as it is.
func etag(o networkv1.Object) (string, error) {
	asked := o.DeepCopyObject().(networkv1.Object) //nolint:errcheck,forcetypeassert // a copy has the type of what it is of
	var content any
	switch resource := asked.(type) {
	case *networkv1.VirtualNetwork:
		spec := resource.Spec.Current()
		spec.Ports, spec.PodCIDRs, spec.Outbounds, spec.InternalAddresses = nil, nil, nil, nil // the clusters'
		content = spec
	case *networkv1.NetworkSecurityGroup:
		content = resource.Spec
	case *networkv1.RouteTable:
		content = resource.Spec
	case *networkv1.AddressReservation:
		content = resource.Spec
	}
	text, err := json.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("making an entity tag: %w", err)
	}
	sum := sha256.Sum256(append([]byte(o.GetUID()), text...))
	return uuid.NewSHA1(uuid.NameSpaceOID, sum[:]).String(), nil
}

// quoted is an entity tag on the wire, in the form of Azure's network API.
func quoted(tag string) string { return `W/"` + tag + `"` }
