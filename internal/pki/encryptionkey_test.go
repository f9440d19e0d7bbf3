package pki

import (
	"bytes"
	"testing"
)

func TestAKeyOfTheEncryptionAtRestIsReplacedInStages(t *testing.T) {
	old := bytes.Repeat([]byte{7}, encryptionKeyBytes)
	born := map[string][]byte{EncryptionKey: old}
	first := keysOf(t, born, StageSettled, firstEncryptionKey)
	trusting, err := TrustNextEncryptionKey(born)
	if err != nil {
		t.Fatal(err)
	}
	both := keysOf(t, trusting, StageTrusting, firstEncryptionKey, "")
	if both[0] != first[0] {
		t.Error("the key of birth has changed")
	}
	switched := SwitchEncryptionKey(trusting)
	turned := keysOf(t, switched, StageSwitched, both[1].Name, firstEncryptionKey)
	if turned[0] != both[1] || turned[1] != both[0] {
		t.Error("the two are not the same two")
	}
	retired := RetireEncryptionKeys(switched)
	if last := keysOf(t, retired, StageSettled, both[1].Name); last[0] != both[1] {
		t.Error("another key stayed")
	}
	again, err := TrustNextEncryptionKey(retired)
	if err != nil {
		t.Fatal(err)
	}
	if more := keysOf(t, again, StageTrusting, both[1].Name, ""); more[1].Name == both[1].Name {
		t.Error("two keys have one name")
	}
}

// keysOf reads files, whose stage and names are to be the given ones; "" is any.
func keysOf(t *testing.T, files map[string][]byte, stage Stage, names ...string) []NamedKey {
	t.Helper()
	keys, err := EncryptionKeys(files[EncryptionKey])
	if err != nil || len(keys) != len(names) {
		t.Fatalf("%d keys, want %d: %v", len(keys), len(names), err)
	}
	for i, name := range names {
		if name != "" && keys[i].Name != name || keys[i].Name == "" {
			t.Errorf("key %d is %q, want %q", i, keys[i].Name, name)
		}
	}
	if got := EncryptionStageOf(files); got != stage || EncryptionKeyName(files) != keys[0].Name {
		t.Errorf("the stage is %s, want %s", got, stage)
	}
	return keys
}

func TestAFileThatHoldsNoKeyOfTheEncryptionAtRestIsRefused(t *testing.T) {
	for name, file := range map[string][]byte{
		"nothing": nil, "half a key": make([]byte, 16), "another PEM": []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
	} {
		if keys, err := EncryptionKeys(file); err == nil {
			t.Errorf("%s: %d keys", name, len(keys))
		}
	}
}
