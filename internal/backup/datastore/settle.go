package datastore

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"

	"berth.dev/berth/internal/backup"
)

// Machine says whether a key is no data of the customer's but tells which
// machines there are and how this control plane is reached. A restore leaves
// such keys as they are: the kubelets that run register once, and would not
// find themselves in what another day's nodes were.
func Machine(key string) bool {
	for _, prefix := range []string{
		"/minions/", "/leases/kube-node-lease/", "/csinodes/", "/certificatesigningrequests/",
		"/masterleases/", "/peerserverleases/", "/secrets/kube-system/bootstrap-token-",
	} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	switch key {
	case "/configmaps/kube-system/extension-apiserver-authentication",
		"/services/endpoints/default/kubernetes", "/endpointslices/default/kubernetes":
		return true
	}
	return strings.HasPrefix(key, "/configmaps/") && strings.HasSuffix(key, "/kube-root-ca.crt")
}

// Nothing keeps no key: a copy is whole.
func Nothing(string) bool { return false }

// Settling makes entries of a backup fit the cluster that they are restored to.
type Settling struct {
	values reencryption
	// moved says that it is another cluster than the backup's.
	moved bool
}

// NewSettling makes a Settling from the keys of the encryption at rest, of the
// backup and of the cluster, as pki.EncryptionKeys reads them. Every value comes
// out encrypted with the key that the cluster encrypts with, whichever of the
// backup's it was encrypted with. moved says that the cluster is not the backup's
// own: none of the nodes is there.
func NewSettling(from, to []byte, moved bool) (*Settling, error) {
	values, err := newReencryption(from, to)
	if err != nil {
		return nil, err
	}
	return &Settling{values: values, moved: moved}, nil
}

// Settle turns an entry into what the cluster is to have; drop says that it is
// to have none.
func (s *Settling) Settle(ctx context.Context, entry backup.Entry) (settled backup.Entry, drop bool, err error) {
	if s.moved && strings.HasPrefix(entry.Key, "/pods/") {
		drop, err = bound(entry)
		return entry, drop, err
	}
	settled = entry
	if settled.Value, _, err = s.values.anew(ctx, entry.Key, entry.Value); err != nil {
		return entry, false, fmt.Errorf("encrypting %s anew: %w", entry.Key, err)
	}
	return settled, false, nil
}

// bound says whether a pod was bound to a node. Its controller makes another
// one; a pod without a controller ends with its node, as always.
func bound(entry backup.Entry) (bool, error) {
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(entry.Value, nil, nil)
	if err != nil {
		return false, fmt.Errorf("reading the pod %s: %w", entry.Key, err)
	}
	pod, is := object.(*corev1.Pod)
	return is && pod.Spec.NodeName != "", nil
}
