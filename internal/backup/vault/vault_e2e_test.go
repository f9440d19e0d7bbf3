//go:build e2e

package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/backup/datastore"
	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/release"
)

// site is a host with a vault, and an etcd that stands for a control plane's.
type site struct {
	vault *Vault
	ring  *backup.Keyring
	etcd  string
	store *clientv3.Client
	home  home.Home
}

func newSite(t *testing.T) *site {
	t.Helper()
	releases, err := release.Open(release.Options{})
	must(t, err)
	artifacts, ok := releases.Lookup("")
	if !ok {
		t.Fatalf("the default release is not in %s: berth release build makes it", releases.Dir())
	}
	dir, err := os.MkdirTemp("", "berth-vault-")
	must(t, err)
	cgroups, err := cgroup.Detect()
	must(t, err)
	s := &site{etcd: artifacts.Binaries["etcd"], home: home.Home{Dir: dir, Instance: naming.Instance()}}
	t.Cleanup(func() { must(t, errors.Join(cgroups.Remove(s.home.Prefix()), os.RemoveAll(dir))) })
	must(t, errors.Join(os.Chmod(dir, 0o711), os.Mkdir(s.home.BackupsDir(), 0o711)))
	supervisor := filepath.Join(dir, "berth-supervisor")
	build := exec.Command("go", "build", "-o", supervisor, "berth.dev/berth/cmd/berth-supervisor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the supervisor: %v\n%s", err, output)
	}
	s.vault = New(Options{Home: s.home, Supervisor: supervisor, Cgroups: cgroups})
	key := backup.NewKey()
	s.ring, err = backup.NewKeyring(backup.KeyID(key), key)
	must(t, err)
	s.store, _ = startEtcd(t, s.etcd, filepath.Join(dir, "e"))
	return s
}

// startEtcd starts an etcd on the data that are in a directory; it ends with the
// test, or when end is called.
func startEtcd(t *testing.T, program, dir string) (store *clientv3.Client, end func()) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o700))
	const client, peer = "unix://c:0", "unix://p:0"
	command := exec.Command(program, "--name=a", "--data-dir="+dir+"/d", "--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=a="+peer, "--log-outputs=stderr")
	command.Dir = dir
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, command.Start())
	end = sync.OnceFunc(func() { _ = command.Process.Kill(); _ = command.Wait() })
	t.Cleanup(end)
	connection, err := datastore.Dial(datastore.Endpoint{Address: "unix://" + dir + "/c:0"})
	must(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	must(t, answers(t.Context(), datastore.Range{Client: connection, Prefix: "/x"}))
	return connection, end
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) in(prefix string) datastore.Range {
	return datastore.Range{Client: s.store, Prefix: prefix}
}

func (s *site) put(t *testing.T, key, value string) {
	t.Helper()
	_, err := s.store.Put(t.Context(), key, value)
	must(t, err)
}

func (s *site) get(t *testing.T, key string) string {
	t.Helper()
	answer, err := s.store.Get(t.Context(), key)
	must(t, err)
	if len(answer.Kvs) == 0 {
		return ""
	}
	return string(answer.Kvs[0].Value)
}

func (s *site) take(t *testing.T, id, prefix string) backup.Header {
	t.Helper()
	header, err := s.vault.Take(t.Context(), id, s.in(prefix), s.ring, Content{
		Header:      backup.Header{Incarnation: strings.TrimPrefix(prefix, "/berth/"), Prefix: prefix, KubernetesVersion: "1.35.4", Cluster: []byte("{}")},
		Credentials: map[string][]byte{pki.EncryptionKey: bytes.Repeat([]byte{1}, 32)},
	})
	must(t, err)
	return header
}

func (s *site) restoration(prefix string) Restoration {
	return Restoration{To: s.in(prefix), Incarnation: strings.TrimPrefix(prefix, "/berth/"), EncryptionKey: bytes.Repeat([]byte{1}, 32)}
}

func TestABackupOfASharedEtcdIsVerifiedAndRestoredBesideItsNeighbours(t *testing.T) {
	s := newSite(t)
	for i := range 1500 {
		s.put(t, fmt.Sprintf("/berth/one/configmaps/default/c%04d", i), fmt.Sprint("before ", i))
	}
	s.put(t, "/berth/one/minions/node", "old")
	s.put(t, "/berth/onemore/configmaps/x", "a neighbour whose prefix begins alike")
	header := s.take(t, "abcd", "/berth/one")
	if header.Keys != 1501 || header.Revision == 0 {
		t.Fatalf("%+v", header)
	}
	if info, err := os.Stat(s.vault.path("abcd")); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	start := time.Now()
	if _, summary, err := s.vault.Verify(t.Context(), "abcd", s.ring, s.etcd); err != nil || summary.Keys != 1501 {
		t.Fatalf("%+v, %v", summary, err)
	}
	t.Logf("verified in %s", time.Since(start))
	if left, err := filepath.Glob(s.home.BackupsDir() + "/scratch*"); err != nil || left != nil {
		t.Fatalf("left behind: %v, %v", left, err)
	}

	s.put(t, "/berth/one/configmaps/default/c0003", "changed")
	s.put(t, "/berth/one/configmaps/default/new", "made since")
	s.put(t, "/berth/one/minions/node", "new")
	_, err := s.store.Delete(t.Context(), "/berth/one/configmaps/default/c0004")
	must(t, err)
	before := s.get(t, "/berth/onemore/configmaps/x")
	changes, err := s.vault.Restore(t.Context(), "abcd", s.ring, s.restoration("/berth/one"))
	must(t, err)
	if changes.Put != 2 || changes.Deleted != 1 || changes.Unchanged != 1498 {
		t.Fatalf("%+v", changes)
	}
	for key, want := range map[string]string{
		"/berth/one/configmaps/default/c0003": "before 3", "/berth/one/configmaps/default/c0004": "before 4",
		"/berth/one/configmaps/default/new": "", "/berth/one/minions/node": "new", "/berth/onemore/configmaps/x": before,
	} {
		if got := s.get(t, key); got != want {
			t.Errorf("%s is %q, not %q", key, got, want)
		}
	}
}

func TestARestoreThatWasCutShortIsDoneAgain(t *testing.T) {
	s := newSite(t)
	for i := range 3000 {
		s.put(t, fmt.Sprintf("/berth/one/configmaps/default/c%04d", i), fmt.Sprint(i))
	}
	s.take(t, "abcd", "/berth/one")
	_, err := s.store.Delete(t.Context(), "/berth/one/", clientv3.WithPrefix())
	must(t, err)
	for after := 2 * time.Millisecond; ; after *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := s.vault.Restore(ctx, "abcd", s.ring, s.restoration("/berth/one"))
		cancel()
		if err == nil {
			t.Logf("whole after %s", after)
			break
		}
		if after > time.Minute {
			t.Fatal(err)
		}
	}
	if got := s.get(t, "/berth/one/configmaps/default/c2999"); got != "2999" {
		t.Fatalf("%q", got)
	}
}

func TestADamagedBackupChangesNothing(t *testing.T) {
	s := newSite(t)
	s.put(t, "/berth/one/configmaps/a", "1")
	s.take(t, "abcd", "/berth/one")
	content, err := os.ReadFile(s.vault.path("abcd"))
	must(t, err)
	s.put(t, "/berth/one/configmaps/a", "2")
	must(t, s.vault.Receive("cutt", bytes.NewReader(content[:len(content)-1]), unread))
	content[len(content)/2] ^= 1
	must(t, s.vault.Receive("bent", bytes.NewReader(content), unread))
	for _, id := range []string{"cutt", "bent"} {
		if _, err := s.vault.Restore(t.Context(), id, s.ring, s.restoration("/berth/one")); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: %v", id, err)
		}
		if _, _, err := s.vault.Verify(t.Context(), id, s.ring, s.etcd); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if got := s.get(t, "/berth/one/configmaps/a"); got != "2" {
		t.Errorf("%q", got)
	}
}

func TestAnEtcdThatWasMadeAnewSinceIsRefused(t *testing.T) {
	s := newSite(t)
	for range 20 {
		s.put(t, "/berth/one/configmaps/a", "1")
	}
	s.take(t, "abcd", "/berth/one")
	s.store, _ = startEtcd(t, s.etcd, filepath.Join(s.home.Dir, "f"))
	if _, err := s.vault.Restore(t.Context(), "abcd", s.ring, s.restoration("/berth/one")); !errors.Is(err, ErrOlderStore) {
		t.Fatal(err)
	}
}

func TestADiskThatFillsDuringABackupLeavesNothingBehind(t *testing.T) {
	s := newSite(t)
	s.putNoise(t, 40)
	must(t, unix.Mount("tmpfs", s.home.BackupsDir(), "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { must(t, unix.Unmount(s.home.BackupsDir(), unix.MNT_DETACH)) })
	_, err := s.vault.Take(t.Context(), "abcd", s.in("/berth/one"), s.ring, Content{Header: backup.Header{Prefix: "/berth/one"}})
	if !errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(s.home.BackupsDir()); err != nil || len(left) > 0 {
		t.Fatalf("left behind: %v, %v", left, err)
	}
	if ids, err := s.vault.List(); err != nil || len(ids) > 0 {
		t.Fatalf("%v, %v", ids, err)
	}
}

// putNoise puts values of 100 KiB each.
func (s *site) putNoise(t *testing.T, values int) {
	t.Helper()
	noise := make([]byte, 100<<10)
	for i := range values {
		_, _ = rand.Read(noise) // what cannot be compressed
		s.put(t, fmt.Sprintf("/berth/one/configmaps/%02d", i), string(noise))
	}
}

// TestARestoreThatFilledTheDiskIsWholeOnceThereIsRoom gives an etcd a disk that
// fills: the restore fails, etcd dies of it, and the same restore is whole once
// there is room and etcd runs again.
func TestARestoreThatFilledTheDiskIsWholeOnceThereIsRoom(t *testing.T) {
	s := newSite(t)
	s.putNoise(t, 80)
	header := s.take(t, "abcd", "/berth/one")
	disk := filepath.Join(s.home.Dir, "disk")
	must(t, os.Mkdir(disk, 0o700))
	must(t, unix.Mount("tmpfs", disk, "tmpfs", 0, "size=256m"))
	t.Cleanup(func() { must(t, unix.Unmount(disk, unix.MNT_DETACH)) })
	store, end := startEtcd(t, s.etcd, filepath.Join(disk, "e"))
	var room unix.Statfs_t
	must(t, unix.Statfs(disk, &room))
	filler := filepath.Join(disk, "filler")
	must(t, os.WriteFile(filler, make([]byte, int64(room.Bavail)*room.Bsize-2<<20), 0o600))

	to := Restoration{To: datastore.Range{Client: store, Prefix: "/berth/two"}, Incarnation: "two", EncryptionKey: bytes.Repeat([]byte{1}, 32)}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.vault.Restore(ctx, "abcd", s.ring, to); err == nil {
		t.Fatal("a restore onto a disk without room succeeded")
	}
	end()
	must(t, os.Remove(filler))
	to.To.Client, _ = startEtcd(t, s.etcd, filepath.Join(disk, "e")) // as its supervisor does
	_, err := s.vault.Restore(t.Context(), "abcd", s.ring, to)
	must(t, err)
	if got, err := to.To.Summary(t.Context(), datastore.Nothing); err != nil || got.Keys != 80 {
		t.Errorf("%d keys are there, %v; the backup is of %+v", got.Keys, err, header)
	}
}

// TestAHundredMegabytesAreTakenVerifiedAndRestored measures what issue and
// bench ask for; the limit here only catches what is far off.
func TestAHundredMegabytesAreTakenVerifiedAndRestored(t *testing.T) {
	s := newSite(t)
	value := make([]byte, 1500)
	for batch := range 700 {
		var operations []clientv3.Op
		for i := range 100 {
			_, _ = rand.Read(value) // it never fails
			operations = append(operations, clientv3.OpPut(fmt.Sprintf("/berth/one/configmaps/default/c%03d-%02d", batch, i), string(value)))
		}
		_, err := s.store.Txn(t.Context()).Then(operations...).Commit()
		must(t, err)
	}
	measure := func(what string, limit time.Duration, step func() error) {
		start := time.Now()
		must(t, step())
		took := time.Since(start)
		t.Logf("%s: %s", what, took.Round(time.Millisecond))
		if took > limit {
			t.Errorf("%s took %s, more than %s", what, took, limit)
		}
	}
	measure("take", time.Minute, func() error { s.take(t, "abcd", "/berth/one"); return nil })
	measure("verify", time.Minute, func() error {
		_, _, err := s.vault.Verify(t.Context(), "abcd", s.ring, s.etcd)
		return err
	})
	_, err := s.store.Delete(t.Context(), "/berth/one/", clientv3.WithPrefix())
	must(t, err)
	measure("restore into an empty range", time.Minute, func() error {
		_, err := s.vault.Restore(t.Context(), "abcd", s.ring, s.restoration("/berth/one"))
		return err
	})
	measure("restore of what is there already", time.Minute, func() error {
		_, err := s.vault.Restore(t.Context(), "abcd", s.ring, s.restoration("/berth/one"))
		return err
	})
	file, err := s.vault.Open("abcd")
	must(t, err)
	defer file.Close()
	size, err := io.Copy(io.Discard, file)
	must(t, err)
	t.Logf("%d MB", size>>20)
}

// unread lets a file pass that its reader is to refuse.
func unread(io.Reader) error { return nil }
