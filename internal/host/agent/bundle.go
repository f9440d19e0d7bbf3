package agent

import (
	"context"
	"slices"
	"time"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/bootstrap"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/pki"
)

// bundlesAgain is when the volumes of a machine's pods are looked at again after
// some lacked what they are to hold.
const bundlesAgain = 5 * time.Second

// maxMessage bounds what is said of a look that failed.
const maxMessage = 500

// lookAtBundles takes note of which volumes of a machine's pods hold an authority
// that is to be retired without the one that signs, once that one is published in
// every namespace: what was mounted before, its kubelet is about to bring up to
// date, and what is mounted later holds it. It says when to look again.
func (r *machineReconciler) lookAtBundles(
	ctx context.Context, object *containerservice.Machine, cluster surroundings, status machine.Status,
) time.Duration {
	authorities := pki.AuthorityIDs(cluster.clusterCA)
	if len(authorities) < 2 || cluster.published != authorities[0] {
		object.Status.Bundles = nil // nothing is to be retired yet
		return resync
	}
	seen := object.Status.Bundles
	if seen != nil && seen.Authority == authorities[0] && len(seen.Behind) == 0 && seen.Message == "" || !status.Running {
		return resync
	}
	found := &containerservice.BundleStatus{Authority: authorities[0]}
	object.Status.Bundles = found
	reader, able := r.Provider.(machine.ProjectedReader)
	if !able {
		found.Message = "the driver of the host's machines cannot look into them"
		return resync
	}
	err := reader.Projected(ctx, object.Spec.Incarnation, bootstrap.PodsDir, func(file machine.Projected) {
		held := pki.AuthorityIDs(file.Content)
		former := slices.ContainsFunc(held, func(id string) bool { return slices.Contains(authorities[1:], id) })
		volume := containerservice.BundleBehind{PodUID: file.PodUID, Volume: file.Volume}
		if former && !slices.Contains(held, authorities[0]) && !slices.Contains(found.Behind, volume) {
			found.Behind = append(found.Behind, volume)
		}
	})
	if err != nil {
		found.Message = err.Error()[:min(len(err.Error()), maxMessage)]
	}
	if len(found.Behind) > containerservice.BundlesBehindMax {
		found.Behind = found.Behind[:containerservice.BundlesBehindMax]
		found.Message = "more volumes than can be named"
	}
	return bundlesAgain
}
