// Package fleet finds the machines of one cluster by an index of the cache. It
// decides nothing: what a machine is for is the business of the controllers.
// With a reader that has no index, such as that of the API server itself, list
// all and choose.
package fleet

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// ClusterField is the field of Machines that the cache is indexed by.
const ClusterField = "spec.clusterName"

// Index makes a cache able to answer Of. Call it before the cache starts.
func Index(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &v1alpha1.Machine{}, ClusterField, ClusterOf); err != nil {
		return fmt.Errorf("indexing machines by their cluster: %w", err)
	}
	return nil
}

// ClusterOf is what the index files a Machine under.
func ClusterOf(object client.Object) []string {
	if machine, ok := object.(*v1alpha1.Machine); ok {
		return []string{machine.Spec.ClusterName}
	}
	return nil
}

// Of are the machines of a cluster, by the name of its object, also those that are
// on their way out.
func Of(ctx context.Context, cached client.Reader, cluster string) ([]v1alpha1.Machine, error) {
	var machines v1alpha1.MachineList
	if err := cached.List(ctx, &machines, client.MatchingFields{ClusterField: cluster}); err != nil {
		return nil, fmt.Errorf("listing the machines of a cluster: %w", err)
	}
	return machines.Items, nil
}
