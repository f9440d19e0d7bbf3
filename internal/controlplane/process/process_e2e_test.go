//go:build e2e

package process

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/controlplane/controlplanetest"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/supervise"
	"berth.dev/berth/internal/thread"
)

func TestTheProcessDriverKeepsTheContract(t *testing.T) {
	controlplanetest.Run(t, func(t *testing.T) controlplanetest.Fixture { return newHost(t).fixture() })
}

// started is a control plane that is ready, and all of whose components run.
func started(t *testing.T, h *host) (controlplane.Desired, controlplane.Status) {
	t.Helper()
	driver, desired := h.open(), h.desired(t)
	t.Cleanup(func() {
		for {
			err := driver.Delete(context.Background(), desired.ID)
			if err == nil {
				return
			}
			if !errors.Is(err, controlplane.ErrInProgress) {
				t.Error(err)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		status, err := driver.Ensure(context.Background(), desired)
		if err != nil {
			t.Fatal(err)
		}
		running := len(status.Components) > 0
		for _, component := range status.Components {
			running = running && component.PID != 0
		}
		if status.Ready && running {
			return desired, status
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %+v", status)
		}
	}
}

func TestASecretIsCiphertextInTheDatastore(t *testing.T) {
	desired, _ := started(t, newHost(t))
	const word = "the-word-that-nobody-may-read"
	put(t, desired, word)
	certificate, err := tls.X509KeyPair(desired.Credentials[pki.EtcdClientCert], desired.Credentials[pki.EtcdClientKey])
	if err != nil {
		t.Fatal(err)
	}
	datastore, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"https://127.0.0.1:2379"}, DialTimeout: 5 * time.Second,
		TLS:         &tls.Config{RootCAs: pool(t, desired.Credentials[pki.EtcdCACert]), Certificates: []tls.Certificate{certificate}},
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(dialer(desired.NetworkNamespace))},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer datastore.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	key := desired.EtcdPrefix + "/secrets/kube-system/word"
	answer, err := datastore.Get(ctx, key)
	if err != nil || len(answer.Kvs) != 1 {
		t.Fatalf("reading %s: %v, %v", key, answer, err)
	}
	if value := answer.Kvs[0].Value; !bytes.HasPrefix(value, []byte("k8s:enc:secretbox:v1:")) || bytes.Contains(value, []byte(word)) {
		t.Errorf("the datastore holds %q", value)
	}
	if got := fetch(t, desired); got != word {
		t.Errorf("the API server reads it as %q", got)
	}
}

func TestTheDatastoreRefusesWhoShowsNoCertificate(t *testing.T) {
	desired, _ := started(t, newHost(t))
	connection, err := dialer(desired.NetworkNamespace)(context.Background(), "127.0.0.1:2379")
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	stranger := tls.Client(connection, &tls.Config{ServerName: "localhost", RootCAs: pool(t, desired.Credentials[pki.EtcdCACert])})
	_, err = fmt.Fprint(stranger, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if err == nil {
		_, err = stranger.Read(make([]byte, 1)) // with TLS 1.3 the refusal comes with the first answer
	}
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %v, want it refused", err)
	}
}

func TestTheAPIServerKnowsNoAnonymousUser(t *testing.T) {
	desired, _ := started(t, newHost(t))
	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(t, desired.Credentials[pki.ClusterCACert])}}}
	defer stranger.CloseIdleConnections()
	answer, err := stranger.Get("https://" + desired.Address.String() + "/version")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a certificate: %s, want 401", answer.Status)
	}
}

func TestNoProcessIsRootOrHasACapability(t *testing.T) {
	h := newHost(t)
	desired, status := started(t, h)
	pids, err := h.cgroups.Processes(h.home.Prefix() + "/cp-" + desired.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(pids) != len(status.Components)+1 {
		t.Errorf("%d processes in the cgroup, want the components and their supervisor: %v", len(pids), pids)
	}
	id := strconv.Itoa(desired.UserID)
	want := map[string]string{
		"Uid": strings.Join([]string{id, id, id, id}, "\t"), "Gid": strings.Join([]string{id, id, id, id}, "\t"), "Groups": "",
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none, "NoNewPrivs": "1",
	}
	for _, pid := range pids {
		for field, value := range want {
			if got := processField(t, pid, field); got != value {
				t.Errorf("%s: %s = %q, want %q", processField(t, pid, "Name"), field, got, value)
			}
		}
		t.Logf("%s: RssAnon %s", processField(t, pid, "Name"), processField(t, pid, "RssAnon"))
	}
}

func TestTheSuccessorOfAKilledSupervisorAdoptsTheComponents(t *testing.T) {
	h := newHost(t)
	desired, before := started(t, h)
	handle := supervise.Handle{Dir: filepath.Join(h.home.ControlPlanesDir(), desired.ID), UserID: desired.UserID}
	supervisor, lives, err := handle.Status()
	if err != nil || !lives {
		t.Fatalf("Status() = %v, %v", lives, err)
	}
	if err := syscall.Kill(supervisor.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		status, err := h.open().Ensure(context.Background(), desired)
		if err != nil {
			t.Fatal(err)
		}
		if !status.Ready {
			t.Errorf("not ready without a supervisor: %s", status.Message)
		}
		now, lives, err := handle.Status()
		if err == nil && lives && now.PID != supervisor.PID {
			for i, component := range now.Components {
				if component.PID != before.Components[i].PID {
					t.Errorf("%s went from pid %d to %d", component.Name, before.Components[i].PID, component.PID)
				}
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no successor: %+v, %v", now, err)
		}
	}
}

const none = "0000000000000000"

// processField is a field of /proc/<pid>/status.
func processField(t *testing.T, pid int, name string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if value, is := strings.CutPrefix(line, name+":"); is {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("process %d has no field %s", pid, name)
	return ""
}

func TestAllFilesAreTheControlPlanesAlone(t *testing.T) {
	h := newHost(t)
	desired, _ := started(t, h)
	err := filepath.WalkDir(filepath.Join(h.home.ControlPlanesDir(), desired.ID), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // replaced meanwhile
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != desired.UserID {
			t.Errorf("%s belongs to %d, want %d", path, owner, desired.UserID)
		}
		if (info.IsDir() || info.Mode().IsRegular()) && info.Mode().Perm()&0o077 != 0 { // konnectivity's socket lies in a directory of mode 0700
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func pool(t *testing.T, certificate []byte) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certificate) {
		t.Fatal("no certificate in the PEM")
	}
	return pool
}

// dialer dials from a network namespace.
func dialer(namespace string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		return thread.DialIn(ctx, namespace, address)
	}
}
