package datastore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/secretbox"
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

// encrypted begins every value that is encrypted at rest; sealed begins those
// that this package can read, and after it comes the name of the key.
const (
	encrypted = "k8s:enc:"
	sealed    = encrypted + "secretbox:v1:"
)

// Settling makes entries of a backup fit the cluster that they are restored to.
type Settling struct {
	from, to value.Transformer
	// moved says that it is another cluster than the backup's.
	moved bool
}

// NewSettling makes a Settling from the keys of the encryption at rest, of the
// backup and of the cluster. moved says that the cluster is not the backup's
// own: none of the nodes is there.
func NewSettling(from, to []byte, moved bool) (*Settling, error) {
	s := &Settling{moved: moved}
	if bytes.Equal(from, to) {
		return s, nil
	}
	var keys [2][32]byte
	for i, key := range [][]byte{from, to} {
		if copy(keys[i][:], key) != len(keys[i]) || len(key) != len(keys[i]) {
			return nil, fmt.Errorf("reading the keys of the encryption at rest: one has %d bytes, not %d", len(key), len(keys[i]))
		}
	}
	s.from, s.to = secretbox.NewSecretboxTransformer(keys[0]), secretbox.NewSecretboxTransformer(keys[1])
	return s, nil
}

// Settle turns an entry into what the cluster is to have; drop says that it is
// to have none.
func (s *Settling) Settle(ctx context.Context, entry backup.Entry) (settled backup.Entry, drop bool, err error) {
	if s.moved && strings.HasPrefix(entry.Key, "/pods/") {
		drop, err = bound(entry)
		return entry, drop, err
	}
	if s.from == nil || !bytes.HasPrefix(entry.Value, []byte(encrypted)) {
		return entry, false, nil
	}
	settled = entry
	if settled.Value, err = s.reencrypt(ctx, entry); err != nil {
		return entry, false, fmt.Errorf("encrypting %s anew: %w", entry.Key, err)
	}
	return settled, false, nil
}

func (s *Settling) reencrypt(ctx context.Context, entry backup.Entry) ([]byte, error) {
	rest, known := bytes.CutPrefix(entry.Value, []byte(sealed))
	name, content, named := bytes.Cut(rest, []byte(":"))
	if !known || !named {
		return nil, errors.New("it is encrypted in a way that this service does not use")
	}
	plain, _, err := s.from.TransformFromStorage(ctx, content, value.DefaultContext(entry.Key))
	if err != nil {
		return nil, errors.New("the key in the backup does not decrypt it")
	}
	fresh, err := s.to.TransformToStorage(ctx, plain, value.DefaultContext(entry.Key))
	if err != nil {
		return nil, err
	}
	return append([]byte(sealed+string(name)+":"), fresh...), nil
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
