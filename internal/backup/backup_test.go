package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

func ring(t testing.TB) *Keyring {
	t.Helper()
	key := NewKey()
	made, err := NewKeyring(KeyID(key), key)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func written(t testing.TB, keys *Keyring, entries int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, keys, Header{
		TenantID: "t", ClusterID: "/subscriptions/s/x", Incarnation: "abc", Prefix: "/berth/abc", KubernetesVersion: "1.35.4",
		Revision: 7, Keys: int64(entries), Time: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), Cluster: []byte(`{}`),
	}, map[string][]byte{"ca.crt": []byte("one"), "sa.key": []byte("two")})
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		if err := w.Add(Entry{Key: fmt.Sprintf("/k/%06d", i), Value: bytes.Repeat([]byte{byte(i)}, i%900), TTL: int64(i % 3)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestABackupIsReadAsItWasWritten(t *testing.T) {
	keys := ring(t)
	r, err := NewReader(bytes.NewReader(written(t, keys, 3000)), keys)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if string(r.Credentials["sa.key"]) != "two" || r.Header.Revision != 7 || r.Header.KeyID != keys.Current() {
		t.Fatalf("read %+v with %d credentials", r.Header, len(r.Credentials))
	}
	for i := range 3000 {
		entry, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if entry.Key != fmt.Sprintf("/k/%06d", i) || len(entry.Value) != i%900 || entry.TTL != int64(i%3) {
			t.Fatalf("entry %d is %q with %d bytes and %d s", i, entry.Key, len(entry.Value), entry.TTL)
		}
	}
	for range 2 {
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Fatalf("behind the last entry: %v", err)
		}
	}
}

func TestAnEmptyRangeIsABackup(t *testing.T) {
	keys := ring(t)
	if _, summary, err := Check(bytes.NewReader(written(t, keys, 0)), keys); err != nil || summary.Keys != 0 {
		t.Fatalf("%+v, %v", summary, err)
	}
}

func TestABackupThatWasCutAnywhereDoesNotPass(t *testing.T) {
	keys := ring(t)
	whole := written(t, keys, 60)
	for n := range whole {
		if _, _, err := Check(bytes.NewReader(whole[:n]), keys); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
}

func TestABackupOfWhichAnyByteWasAlteredDoesNotPass(t *testing.T) {
	keys := ring(t)
	whole := written(t, keys, 60)
	for n := range whole {
		altered := bytes.Clone(whole)
		altered[n] ^= 0x20
		_, _, err := Check(bytes.NewReader(altered), keys)
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknownKey) && !errors.Is(err, ErrUnsupported) {
			t.Fatalf("byte %d of %d altered: %v", n, len(whole), err)
		}
	}
}

func TestABackupThatGoesOnBehindItsEndDoesNotPass(t *testing.T) {
	keys := ring(t)
	if _, _, err := Check(bytes.NewReader(append(written(t, keys, 9), 'x')), keys); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
}

func TestTheHeaderOfOneBackupDoesNotFitThePayloadOfAnother(t *testing.T) {
	keys := ring(t)
	first, second := written(t, keys, 9), written(t, keys, 9)
	_, before, err := readHeader(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(before, []byte(`"revision":7`), []byte(`"revision":8`), 1)
	if bytes.Equal(changed, before) {
		t.Fatal("the header has no revision")
	}
	if _, _, err := Check(bytes.NewReader(append(changed, second[len(before):]...)), keys); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
}

func TestABackupOfAnotherServiceNamesTheKeyThatIsMissing(t *testing.T) {
	theirs := ring(t)
	_, _, err := Check(bytes.NewReader(written(t, theirs, 3)), ring(t))
	if !errors.Is(err, ErrUnknownKey) || !bytes.Contains([]byte(err.Error()), []byte(theirs.Current())) {
		t.Fatal(err)
	}
}

func TestAnOldKeyStillUnwraps(t *testing.T) {
	old, fresh := NewKey(), NewKey()
	before, err := NewKeyring(KeyID(old), old)
	if err != nil {
		t.Fatal(err)
	}
	file := written(t, before, 3)
	after, err := NewKeyring(KeyID(fresh), fresh, old)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Check(bytes.NewReader(file), after); err != nil {
		t.Fatal(err)
	}
}

func TestAWriterThatSawFewerKeysThanAnnouncedFails(t *testing.T) {
	w, err := NewWriter(io.Discard, ring(t), Header{Prefix: "/p", Keys: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(Entry{Key: "/a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err == nil {
		t.Fatal("a backup with a key missing was closed")
	}
	if err := w.Add(Entry{Key: "/a"}); err == nil {
		t.Fatal("a key was written twice")
	}
}

func FuzzABackupFromAnyoneIsReadWithoutHarm(f *testing.F) {
	keys := ring(f)
	f.Add(written(f, keys, 2))
	f.Add([]byte(magic))
	f.Add(append([]byte(magic), 0xff, 0xff, 0xff, 0xff))
	f.Add(append([]byte(magic), 0, 0, 0, 2, '{', '}'))
	whole := written(f, keys, 2)
	f.Fuzz(func(t *testing.T, file []byte) {
		header, _, err := Check(bytes.NewReader(file), keys)
		if err == nil && header.KeyID != keys.Current() {
			t.Fatalf("a file that nobody wrote passed: %d bytes beside %d", len(file), len(whole))
		}
		_, _ = ReadHeader(bytes.NewReader(file))
	})
}
