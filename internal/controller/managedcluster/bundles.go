package managedcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/fleet"
	"berth.dev/berth/internal/pki"
)

// rootBundle is the ConfigMap that Kubernetes keeps in every namespace: pods have
// it mounted, and verify the API server with what it holds.
const rootBundle = "kube-root-ca.crt"

// maxNamed is how many namespaces or pods a message names.
const maxNamed = 3

// lookAtBundles finds out, while authorities that were replaced are still trusted,
// who lacks those that replaced them: first the bundles of the namespaces, then,
// once the Secret says that all of these are done, what the hosts see mounted in
// pods. A pod that starts after that gets the new bundle.
func (p *rotation) lookAtBundles(ctx context.Context, s *scope) error {
	if pki.StageOf(s.credentials) != pki.StageSwitched || !s.handedOver() {
		return nil
	}
	if s.tenant == nil {
		s.behind = "the API server to tell its namespaces' bundles"
		return nil
	}
	signer := pki.AuthorityID(s.credentials[pki.ClusterCACert])
	if s.secret.Annotations[v1alpha1.AuthorityPublished] == signer {
		var err error
		s.behind, err = p.mountsBehind(ctx, s, signer)
		return err
	}
	var err error
	if s.behind, err = bundlesBehind(ctx, s.tenant, signer); err != nil || s.behind != "" {
		return err
	}
	next := s.secret.DeepCopy()
	if next.Annotations == nil {
		next.Annotations = map[string]string{}
	}
	next.Annotations[v1alpha1.AuthorityPublished] = signer
	if err := p.config.Client.Update(ctx, next); err != nil {
		return fmt.Errorf("storing that the bundles are published: %w", err)
	}
	s.secret = next
	s.behind = "the hosts to look at what pods have mounted"
	return nil
}

// bundlesBehind says which namespaces' bundles do not hold the authority that
// signs; "" if all do. It asks the API server itself: a cache may be behind, too.
func bundlesBehind(ctx context.Context, reader client.Reader, signer string) (string, error) {
	var bundles corev1.ConfigMapList
	if err := reader.List(ctx, &bundles, client.MatchingFields{"metadata.name": rootBundle}); err != nil {
		return "", fmt.Errorf("reading the namespaces' bundles: %w", err)
	}
	var behind []string
	for _, bundle := range bundles.Items {
		if !slices.Contains(pki.AuthorityIDs([]byte(bundle.Data["ca.crt"])), signer) {
			behind = append(behind, bundle.Namespace)
		}
	}
	if len(behind) == 0 {
		return "", nil
	}
	return "the bundle " + rootBundle + " to hold the new one in the namespaces " + named(behind), nil
}

// mountsBehind says on which nodes, or in which pods, the bundle was not seen to
// hold the authority that signs; "" if everywhere. What is stopped has nothing
// mounted, and mounts what there is when it starts.
func (p *rotation) mountsBehind(ctx context.Context, s *scope, signer string) (string, error) {
	machines, err := fleet.Of(ctx, p.config.Client, s.cluster.Name)
	if err != nil {
		return "", err
	}
	var unseen, pods []string
	for _, machine := range machines {
		if machine.DeletionTimestamp != nil || machine.Spec.PowerState == meta.PowerStopped {
			continue
		}
		switch seen := machine.Status.Bundles; {
		case seen == nil || seen.Authority != signer:
			unseen = append(unseen, machine.Spec.NodeName)
		case seen.Message != "":
			unseen = append(unseen, machine.Spec.NodeName+" ("+seen.Message+")")
		case len(seen.Behind) > 0:
			behind, err := podsBehind(ctx, s.tenant, machine.Spec.NodeName, seen.Behind)
			if err != nil {
				return "", err
			}
			pods = append(pods, behind...)
		}
	}
	switch {
	case len(unseen) > 0:
		return "a look at the volumes of the pods on the nodes " + named(unseen), nil
	case len(pods) > 0:
		return "the bundle that pods have mounted to hold the new one in " + named(pods), nil
	}
	return "", nil
}

// podsBehind are the pods of a node that have the bundle in one of the volumes.
// Copies of it that somebody made stay as they are, and nobody waits for them.
func podsBehind(ctx context.Context, reader client.Reader, node string, volumes []v1alpha1.BundleBehind) ([]string, error) {
	var pods corev1.PodList
	if err := reader.List(ctx, &pods, client.MatchingFields{"spec.nodeName": node}); err != nil {
		return nil, fmt.Errorf("reading the pods of node %s: %w", node, err)
	}
	var behind []string
	for _, pod := range pods.Items {
		if slices.ContainsFunc(volumes, func(v v1alpha1.BundleBehind) bool {
			return types.UID(v.PodUID) == pod.UID && mountsBundle(pod.Spec.Volumes, v.Volume)
		}) {
			behind = append(behind, pod.Namespace+"/"+pod.Name)
		}
	}
	return behind, nil
}

// mountsBundle says whether a volume is made from the bundle of its namespace.
func mountsBundle(volumes []corev1.Volume, name string) bool {
	return slices.ContainsFunc(volumes, func(volume corev1.Volume) bool {
		if volume.Name != name {
			return false
		}
		if volume.ConfigMap != nil {
			return volume.ConfigMap.Name == rootBundle
		}
		return volume.Projected != nil && slices.ContainsFunc(volume.Projected.Sources, func(source corev1.VolumeProjection) bool {
			return source.ConfigMap != nil && source.ConfigMap.Name == rootBundle
		})
	})
}

// named is a list of names for a person: the first of them.
func named(names []string) string {
	slices.Sort(names)
	text := strings.Join(names[:min(len(names), maxNamed)], ", ")
	if more := len(names) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
