package backup

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// exported are the keys of a service that rotated once, as a file.
func exported(t *testing.T, passphrase string) ([]PortableKey, []byte) {
	t.Helper()
	content, err := Rotated(NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := Keys(content, "theirs")
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := writeKeys(&file, keys, passphrase, 10); err != nil {
		t.Fatal(err)
	}
	return keys, file.Bytes()
}

func TestKeysAreReadAsTheyWereExported(t *testing.T) {
	for _, passphrase := range []string{"", "correct horse"} {
		keys, file := exported(t, passphrase)
		for i := range keys {
			keys[i].Current = false // which key is current is the service's own business
			if passphrase != "" && bytes.Contains(file, []byte(keys[i].ID)) {
				t.Error("under a passphrase the file tells its keys")
			}
		}
		read, err := ReadKeys(bytes.NewReader(file), passphrase)
		if err != nil || !reflect.DeepEqual(read, keys) {
			t.Errorf("with the passphrase %q: %v, %+v", passphrase, err, read)
		}
	}
}

func TestAFileThatIsNoExportIsRefused(t *testing.T) {
	_, plain := exported(t, "")
	_, sealed := exported(t, "right")
	other, _ := exported(t, "")
	for name, c := range map[string]struct {
		file       []byte
		passphrase string
		want       error
	}{
		"nothing":                 {nil, "", ErrNoKeys},
		"something else":          {[]byte("berth-backup/1\n"), "", ErrNoKeys},
		"cut":                     {plain[:len(plain)-20], "", ErrNoKeys},
		"more behind it":          {append(bytes.Clone(plain), "more"...), "", ErrNoKeys},
		"another key under an id": {bytes.Replace(plain, []byte(keyID+": "), []byte(keyID+": "+other[0].ID[:1]), 1), "", ErrNoKeys},
		"without a tenant":        {bytes.ReplaceAll(plain, []byte("theirs"), nil), "", ErrNoKeys},
		"without the passphrase":  {sealed, "", ErrPassphraseNeeded},
		"a wrong passphrase":      {sealed, "wrong", ErrPassphraseWrong},
		"sealed and cut":          {sealed[:len(sealed)-60], "right", ErrNoKeys},
	} {
		if _, err := ReadKeys(bytes.NewReader(c.file), c.passphrase); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestAServiceThatImportedAKeyReadsTheBackupsOfTheOther(t *testing.T) {
	there, here := NewSecret(), NewSecret()
	theirs, err := FromSecret(there)
	if err != nil {
		t.Fatal(err)
	}
	file := written(t, theirs, 10)
	own, err := FromSecret(here)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Check(bytes.NewReader(file), own); !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), theirs.Current()) {
		t.Fatalf("without the key: %v", err)
	}
	keys, err := Keys(there, "theirs")
	if err != nil {
		t.Fatal(err)
	}
	next, added, err := WithKeys(here, "ours", keys)
	if err != nil || len(added) != 1 {
		t.Fatalf("importing: %v, %d keys", err, len(added))
	}
	if _, again, err := WithKeys(next, "ours", keys); err != nil || len(again) != 0 {
		t.Errorf("importing again: %v, %d keys", err, len(again))
	}
	ring, err := FromSecret(next)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Check(bytes.NewReader(file), ring); err != nil {
		t.Errorf("with the key: %v", err)
	}
	if ring.Current() != own.Current() {
		t.Error("the imported key wraps new backups")
	}
	if !ring.Adopts(theirs.Current(), "Theirs") || ring.Adopts(theirs.Current(), "others") || ring.Adopts(own.Current(), "theirs") || ring.Adopts(own.Current(), "") {
		t.Error("the key vouches for another tenant than the one that it came from")
	}
	if onwards, err := Keys(next, "ours"); err != nil || len(onwards) != 2 || !onwards[0].Current || onwards[0].TenantID != "ours" || onwards[1].TenantID != "theirs" {
		t.Errorf("exported onwards: %v, %+v", err, onwards)
	}
}

func TestOldKeysStayForOldBackups(t *testing.T) {
	content := NewSecret()
	old, err := FromSecret(content)
	if err != nil {
		t.Fatal(err)
	}
	file := written(t, old, 10)
	for range 3 {
		if content, err = Rotated(content); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := FromSecret(content)
	if err != nil || len(ring.IDs()) != 4 || ring.Current() == old.Current() {
		t.Fatalf("rotated: %v, %v", err, ring.IDs())
	}
	if _, _, err := Check(bytes.NewReader(file), ring); err != nil {
		t.Errorf("the old backup: %v", err)
	}
	if _, _, err := Check(bytes.NewReader(written(t, ring, 1)), old); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a new backup is wrapped with an old key: %v", err)
	}
}
