package managedcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/pki"
)

// rootBundle is the ConfigMap that Kubernetes keeps in every namespace: pods have
// it mounted, and verify the API server with what it holds.
const rootBundle = "kube-root-ca.crt"

// maxNamed is how many namespaces a message names.
const maxNamed = 3

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
	slices.Sort(behind)
	named := strings.Join(behind[:min(len(behind), maxNamed)], ", ")
	if more := len(behind) - maxNamed; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return "the bundle " + rootBundle + " to hold the new one in the namespaces " + named, nil
}

// lookAtBundles finds out, while authorities that were replaced are still trusted,
// whose bundle lacks those that replaced them.
func (s *scope) lookAtBundles(ctx context.Context) error {
	if pki.StageOf(s.credentials) != pki.StageSwitched || !s.handedOver() {
		return nil
	}
	if s.tenant == nil {
		s.behind = "the API server to tell its namespaces' bundles"
		return nil
	}
	var err error
	s.behind, err = bundlesBehind(ctx, s.tenant, pki.AuthorityID(s.credentials[pki.ClusterCACert]))
	return err
}
