package machine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controlplane"
)

const (
	// endpointsLabel is on the service of a cluster's DNS. Kubernetes' controller of
	// endpoints copies labels of services to their slices: that it did says that it works.
	endpointsLabel = "containerservice.berth.dev/endpoints"
	dnsService     = "kube-dns"
	// endpointsPatience is for how long the processes of a control plane have to have
	// been healthy until nobody asks: they work, or somebody else keeps the copy away.
	endpointsPatience = time.Minute
	endpointsInterval = 250 * time.Millisecond
	wordLength        = 16
)

// endpoints finds out whether somebody tells the nodes where the pods of services
// are. After an API server was handed over, the process that does is replaced, too,
// and for seconds nobody notices that a pod ends: nodes go on sending to it.
type endpoints struct {
	client client.Client

	mu sync.Mutex
	// answered is the last word that was copied in a cluster, by its incarnation.
	answered map[string]string
}

// told says whether the endpoints of services are followed by the processes that
// run now. While these are new it asks, by a word that names them.
func (e *endpoints) told(ctx context.Context, s *scope) (bool, error) {
	plane := &v1alpha1.ControlPlane{}
	if s.cluster == nil {
		return true, nil
	}
	if err := e.client.Get(ctx, client.ObjectKey{Name: s.cluster.Spec.Incarnation}, plane); err != nil {
		return false, fmt.Errorf("reading the control plane: %w", err)
	}
	since := plane.Status.HealthySince // of these very processes
	if since != nil && (since.After(s.now) || s.now.Sub(since.Time) > endpointsPatience) {
		return true, nil // or the clock was set back
	}
	word := wordOf(plane)
	switch {
	case plane.Status.Server == "" || e.knows(s, word): // or the host has told nothing yet
		return true, nil
	case word == "":
		return false, nil
	}
	copied, err := ask(ctx, s, word)
	if err != nil {
		return false, fmt.Errorf("asking whether the endpoints of services are followed: %w", err)
	}
	if copied {
		e.learn(s, word)
	}
	return copied, nil
}

// knows says whether a word was copied already.
func (e *endpoints) knows(s *scope, word string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return word != "" && e.answered[s.cluster.Spec.Incarnation] == word
}

// learn takes note of a word that was copied.
func (e *endpoints) learn(s *scope, word string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answered[s.cluster.Spec.Incarnation] = word
}

// wordOf names the processes of a control plane that serves and follows endpoints;
// empty while one of them is about to be another.
func wordOf(plane *v1alpha1.ControlPlane) string {
	if !v1alpha1.ConditionTrue(plane.Status.Conditions, v1alpha1.ConditionUpToDate) {
		return ""
	}
	for _, component := range plane.Status.Components {
		if component.Name == controlplane.ControllerManager && component.PID != 0 {
			sum := sha256.Sum256(fmt.Appendf(nil, "%s %s/%d", plane.Status.Server, component.Name, component.PID))
			return hex.EncodeToString(sum[:])[:wordLength]
		}
	}
	return ""
}

// ask writes the word and says whether it was copied. A cluster without the service
// cannot be asked.
func ask(ctx context.Context, s *scope, word string) (copied bool, err error) {
	service := &corev1.Service{}
	key := client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: dnsService}
	if err := s.tenant.Client.Get(ctx, key, service); err != nil {
		return client.IgnoreNotFound(err) == nil, client.IgnoreNotFound(err)
	}
	if service.Labels[endpointsLabel] != word {
		changed := service.DeepCopy()
		metav1.SetMetaDataLabel(&changed.ObjectMeta, endpointsLabel, word)
		return false, s.tenant.Client.Patch(ctx, changed, client.MergeFrom(service))
	}
	var slices discoveryv1.EndpointSliceList
	err = s.tenant.Client.List(ctx, &slices, client.InNamespace(key.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: dnsService, endpointsLabel: word})
	return len(slices.Items) > 0, err
}
