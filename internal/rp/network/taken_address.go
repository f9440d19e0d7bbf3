package network

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/nodegroup"
)

// takenAddresses are the public addresses that clusters took for themselves, as
// if they had reserved them in their node resource groups.
func (s *snapshot) takenAddresses() ([]networkv1.Object, error) {
	if err := s.load(&s.claims, &s.clusters); err != nil {
		return nil, err
	}
	var all []networkv1.Object
	for _, claim := range s.claims.Items {
		purpose := claim.Spec.Purpose
		if purpose != "outbound" && !strings.HasPrefix(purpose, "outbound/") && !strings.HasPrefix(purpose, "service/") {
			continue
		}
		cluster, err := s.cluster(claim.Spec.OwnerIncarnation)
		if err != nil {
			return nil, err
		}
		if cluster == nil {
			continue
		}
		id := nodegroup.PublicAddressID(cluster, purpose)
		one := &networkv1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: naming.Object(id), UID: claim.UID, CreationTimestamp: claim.CreationTimestamp}}
		one.Spec.Resource = networkv1.Resource{ResourceID: id, Location: cluster.Spec.Location, ManagedBy: clusterID(cluster), Tags: addressTags(cluster.Spec.Name, purpose)}
		one.Spec.Bits = wholeAddress
		one.Status.Range = claim.Spec.Address + "/32"
		one.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue}}
		all = append(all, one)
	}
	return all, nil
}

// addressTags say what an address is for, as AKS's tags do.
func addressTags(cluster, purpose string) map[string]string {
	service, isService := strings.CutPrefix(purpose, "service/")
	if !isService {
		return map[string]string{"aks-managed-cluster-name": cluster, "aks-managed-type": "aks-slb-managed-outbound-ip"}
	}
	return map[string]string{"k8s-azure-cluster-name": cluster, "k8s-azure-service": service}
}

// find reads a resource, those that clusters took for themselves included; nil
// if there is none.
func (p *Provider) find(ctx context.Context, k *kind, id arm.ResourceID) (networkv1.Object, error) {
	o, err := find(ctx, p.Client, k, id)
	if err != nil || o != nil || k.name != publicAddresses().name {
		return o, err
	}
	taken, err := p.snapshot(ctx).takenAddresses()
	if err != nil {
		return nil, err
	}
	for _, o := range taken {
		if strings.EqualFold(o.Common().ResourceID, id.String()) {
			return o, nil
		}
	}
	return nil, nil
}
