package datastore

import (
	"bytes"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/secretbox"
	"k8s.io/client-go/kubernetes/scheme"

	"berth.dev/berth/internal/backup"
)

func secretOf(t *testing.T, key byte, plain string) []byte {
	t.Helper()
	sealedValue, err := secretbox.NewSecretboxTransformer([32]byte(bytes.Repeat([]byte{key}, 32))).
		TransformToStorage(t.Context(), []byte(plain), value.DefaultContext("x"))
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("k8s:enc:secretbox:v1:key1:"), sealedValue...)
}

func TestASecretIsReadableWithTheKeyOfTheClusterThatItIsRestoredTo(t *testing.T) {
	settling, err := NewSettling(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), true)
	if err != nil {
		t.Fatal(err)
	}
	settled, drop, err := settling.Settle(t.Context(), backup.Entry{Key: "/secrets/default/s", Value: secretOf(t, 1, "hunter2")})
	if err != nil || drop {
		t.Fatal(drop, err)
	}
	rest, is := bytes.CutPrefix(settled.Value, []byte("k8s:enc:secretbox:v1:key1:"))
	if !is {
		t.Fatalf("%.40q", settled.Value)
	}
	plain, _, err := secretbox.NewSecretboxTransformer([32]byte(bytes.Repeat([]byte{2}, 32))).TransformFromStorage(t.Context(), rest, value.DefaultContext("x"))
	if err != nil || string(plain) != "hunter2" {
		t.Fatalf("%q, %v", plain, err)
	}
}

func TestASecretThatTheKeyInTheBackupDoesNotOpenFailsTheRestore(t *testing.T) {
	settling, err := NewSettling(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), false)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"another key":      secretOf(t, 3, "x"),
		"another provider": []byte("k8s:enc:kms:v2:x:y"),
		"no key's name":    []byte("k8s:enc:secretbox:v1:"),
	} {
		if _, _, err := settling.Settle(t.Context(), backup.Entry{Key: "/secrets/default/s", Value: content}); err == nil {
			t.Errorf("%s passed", name)
		}
	}
}

func TestAKeyOfAnotherLengthIsNoKey(t *testing.T) {
	for _, key := range [][]byte{nil, {1}, bytes.Repeat([]byte{1}, 33)} {
		if _, err := NewSettling(key, bytes.Repeat([]byte{2}, 32), false); err == nil {
			t.Errorf("a key of %d bytes passed", len(key))
		}
	}
}

func TestPodsOnNodesStayAwayFromANewClusterAlone(t *testing.T) {
	for name, test := range map[string]struct {
		node  string
		moved bool
		drop  bool
	}{
		"on a node, new cluster":  {"n", true, true},
		"on no node, new cluster": {"", true, false},
		"on a node, same cluster": {"n", false, false},
	} {
		pod := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, Spec: corev1.PodSpec{NodeName: test.node}}
		info, _ := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
		content, err := runtime.Encode(scheme.Codecs.EncoderForVersion(info.Serializer, corev1.SchemeGroupVersion), pod)
		if err != nil {
			t.Fatal(err)
		}
		settling, err := NewSettling(make([]byte, 32), make([]byte, 32), test.moved)
		if err != nil {
			t.Fatal(err)
		}
		if _, drop, err := settling.Settle(t.Context(), backup.Entry{Key: "/pods/default/p", Value: content}); err != nil || drop != test.drop {
			t.Errorf("%s: dropped %t, %v", name, drop, err)
		}
	}
}

func TestOnlyWhatDescribesMachinesIsLeftAlone(t *testing.T) {
	for key, left := range map[string]bool{
		"/minions/aks-1": true, "/leases/kube-node-lease/aks-1": true, "/secrets/kube-system/bootstrap-token-abc": true,
		"/configmaps/default/kube-root-ca.crt": true, "/configmaps/default/kube-root-ca.crt2": false, "/leases/kube-system/x": false,
		"/secrets/default/s": false, "/services/endpoints/default/kubernetes": true, "/services/endpoints/default/kubernetes-x": false,
	} {
		if Machine(key) != left {
			t.Errorf("%s: %t", key, !left)
		}
	}
}
