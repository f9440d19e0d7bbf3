package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// note is what an event says; kind is that of the event.
type note struct {
	reason, message, kind string
}

// tell writes a warning into the tenant, once for each thing there is to say.
func (c *Controller) tell(ctx context.Context, s *scope, service *corev1.Service, reason, message string) error {
	return c.say(ctx, s, service, note{reason, message, corev1.EventTypeWarning})
}

// say writes an event into the tenant, once for each thing there is to say.
func (c *Controller) say(ctx context.Context, s *scope, service *corev1.Service, n note) error {
	sum := sha256.Sum256([]byte(n.reason + n.message + string(service.UID)))
	now := metav1.NewTime(s.now)
	err := s.tenant.Client.Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace, Name: service.Name + "." + hex.EncodeToString(sum[:6]),
		},
		InvolvedObject: corev1.ObjectReference{
			Kind: "Service", APIVersion: "v1", Namespace: service.Namespace, Name: service.Name, UID: service.UID,
		},
		Type: n.kind, Reason: n.reason, Message: n.message,
		Source:         corev1.EventSource{Component: "berth"},
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("telling service %s: %w", key(service), err)
	}
	return nil
}

// mostUnannounced is how many services of a cluster wait for an event at most.
const mostUnannounced = 1000

// unannounced are services that wait for an event, by cluster. The zero value is ready to use.
type unannounced struct {
	mu       sync.Mutex
	services map[string][]*balanced
}

func (u *unannounced) add(cluster string, b *balanced) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.services == nil {
		u.services = map[string][]*balanced{}
	}
	u.services[cluster] = append(u.services[cluster], b)
}

// due takes what is to be announced now: nothing while others wait, unless there is too much.
func (u *unannounced) due(cluster string, othersWait bool) []*balanced {
	u.mu.Lock()
	defer u.mu.Unlock()
	services := u.services[cluster]
	if othersWait && len(services) < mostUnannounced {
		return nil
	}
	delete(u.services, cluster)
	return services
}

// forget drops what was to be announced in a cluster that is gone.
func (u *unannounced) forget(cluster string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.services, cluster)
}
