package datastore

import (
	"bytes"
	"testing"

	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/secretbox"

	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/pki"
)

// rotated are the keys of a cluster between two of them, and after.
func rotated(t *testing.T, first byte) (both, after []byte) {
	t.Helper()
	files, err := pki.TrustNextEncryptionKey(map[string][]byte{pki.EncryptionKey: bytes.Repeat([]byte{first}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	files = pki.SwitchEncryptionKey(files)
	return files[pki.EncryptionKey], pki.RetireEncryptionKeys(files)[pki.EncryptionKey]
}

// seal encrypts as an API server with these keys does.
func seal(t *testing.T, file []byte, plain string) []byte {
	t.Helper()
	keys, err := pki.EncryptionKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	content, err := secretbox.NewSecretboxTransformer(keys[0].Key).TransformToStorage(t.Context(), []byte(plain), value.DefaultContext("x"))
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte(sealed+keys[0].Name+":"), content...)
}

func TestABackupOfTwoKeysIsReadableWithTheKeyOfTheClusterAlone(t *testing.T) {
	both, after := rotated(t, 1)
	_, elsewhere := rotated(t, 9)
	values := map[string][]byte{"of the old key": seal(t, bytes.Repeat([]byte{1}, 32), "hunter2"), "of the new key": seal(t, both, "hunter2")}
	for cluster, to := range map[string][]byte{
		"the same cluster meanwhile": both, "the same cluster afterwards": after,
		"another cluster": elsewhere, "another cluster that was never rotated": bytes.Repeat([]byte{9}, 32),
	} {
		settling, err := NewSettling(both, to, false)
		if err != nil {
			t.Fatal(err)
		}
		for name, old := range values {
			settled, drop, err := settling.Settle(t.Context(), backup.Entry{Key: "/secrets/default/s", Value: old})
			if err != nil || drop {
				t.Fatalf("%s, %s: %v", cluster, name, err)
			}
			keys, _ := pki.EncryptionKeys(to)
			content, is := bytes.CutPrefix(settled.Value, []byte(sealed+keys[0].Name+":"))
			plain, _, err := secretbox.NewSecretboxTransformer(keys[0].Key).TransformFromStorage(t.Context(), content, value.DefaultContext("x"))
			if !is || err != nil || string(plain) != "hunter2" {
				t.Errorf("%s, %s: %.50q reads %q, %v", cluster, name, settled.Value, plain, err)
			}
		}
	}
}

func TestAValueOfAKeyThatIsGoneFailsARestore(t *testing.T) {
	both, after := rotated(t, 1)
	settling, err := NewSettling(after, both, false)
	if err != nil {
		t.Fatal(err)
	}
	lost := backup.Entry{Key: "/secrets/default/s", Value: seal(t, bytes.Repeat([]byte{1}, 32), "hunter2")}
	if _, _, err := settling.Settle(t.Context(), lost); err == nil {
		t.Error("it passed")
	}
}
