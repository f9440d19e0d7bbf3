//go:build e2e

package management

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"

	"berth.dev/berth/api/crds"
	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/supervise"
)

func TestTheAPIStartsIsAdoptedAndKeepsSecretsEncrypted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server := newServer(t)
	started := time.Now()
	config, err := server.Ensure(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ready after %v", time.Since(started))
	for range 2 { // the second time every definition is there
		started = time.Now()
		if err := ApplyDefinitions(ctx, config, crds.Files); err != nil {
			t.Fatal(err)
		}
		t.Logf("definitions after %v", time.Since(started))
	}
	client, err := core.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	const text = "a-text-that-must-not-be-found-on-the-disk"
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "test"}, Data: map[string][]byte{"key": []byte(text)}}
	if _, err := client.Secrets(naming.SystemNamespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config.CertData, config.KeyData = nil, nil
	nobody, err := core.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nobody.Namespaces().List(ctx, metav1.ListOptions{}); err == nil {
		t.Error("an anonymous caller was answered")
	}
	before, _, err := server.handle(mustState(t, server)).Status()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Ensure(ctx); err != nil {
		t.Fatal(err)
	}
	after, alive, err := server.handle(mustState(t, server)).Status()
	if err != nil || !alive || before.PID != after.PID || before.Components[1].PID != after.Components[1].PID {
		t.Errorf("the running API was not adopted: %+v then %+v, %v", before, after, err)
	}
	stop(t, server)
	err = filepath.WalkDir(server.dataDir(), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), text) {
			t.Errorf("%s holds the secret in clear", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	started = time.Now()
	if _, err := server.Ensure(ctx); err != nil {
		t.Fatalf("starting again: %v", err)
	}
	t.Logf("again after %v", time.Since(started))
}

func newServer(t *testing.T) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "berth-management-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	h, err := home.Create(filepath.Join(dir, "home"), func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	supervisor, err := filepath.Abs("../../bin/berth-supervisor")
	if err != nil {
		t.Fatal(err)
	}
	server := New(h, supervisor, binaries(t))
	groups, err := cgroup.Detect()
	if err != nil {
		t.Fatal(err)
	}
	if err := groups.Create(server.CgroupPath(), cgroup.Limits{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop(t, server)
		if err := groups.Remove(h.Prefix()); err != nil {
			t.Error(err)
		}
	})
	return server
}

func binaries(t *testing.T) map[string]string {
	t.Helper()
	store, err := release.Open(release.Options{})
	if err != nil {
		t.Fatal(err)
	}
	artifacts, built := store.Lookup("")
	if !built {
		t.Fatal("the default release is not built: run berth release build")
	}
	return artifacts.Binaries
}

func mustState(t *testing.T, server *Server) state {
	t.Helper()
	st, err := server.loadState()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func stop(t *testing.T, server *Server) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := server.Stop(context.Background())
		if err == nil {
			return
		}
		if !errors.Is(err, supervise.ErrInProgress) || time.Now().After(deadline) {
			t.Fatalf("stopping: %v", err)
		}
	}
}
