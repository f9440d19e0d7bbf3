package app

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"berth.dev/berth/internal/cloud"
	"berth.dev/berth/internal/home"
)

func TestTheAuthorityIsMadeOnceAndItsKeyIsPrivate(t *testing.T) {
	h := newHome(t)
	first, err := ensureAuthority(h)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ensureAuthority(h)
	if err != nil {
		t.Fatal(err)
	}
	if string(first.CertificatePEM()) != string(second.CertificatePEM()) {
		t.Error("the authority was made twice")
	}
	for file, mode := range map[string]os.FileMode{h.CAFile(): 0o644, h.IdentityDir() + "/ca.key": 0o600} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	if err := os.Remove(h.IdentityDir() + "/ca.key"); err != nil {
		t.Fatal(err)
	}
	if _, err := ensureAuthority(h); err == nil {
		t.Error("a certificate that clients trust was replaced because its key is gone")
	}
}

func TestTheCertificateCarriesEveryNameAndIsRenewedInTime(t *testing.T) {
	authority, err := ensureAuthority(newHome(t))
	if err != nil {
		t.Fatal(err)
	}
	c := newCertificates(authority, Options{
		Location: "local", DNSZone: "berth.internal", PublicURL: "https://berth.example.com:8443", Listen: "127.0.0.2:7443",
	}, netip.MustParseAddr("198.18.0.2"))
	now := time.Now()
	c.now = func() time.Time { return now }
	first, err := c.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "127.0.0.2", "198.18.0.2", "berth.example.com", "management.local.berth.internal"} {
		if err := first.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	now = now.Add(certificateValidity / 2)
	if same, err := c.get(nil); err != nil || same != first {
		t.Errorf("renewed at half of its life: %v", err)
	}
	now = now.Add(certificateValidity / 4)
	if renewed, err := c.get(nil); err != nil || renewed == first || !renewed.Leaf.NotAfter.After(now.Add(certificateValidity/2)) {
		t.Errorf("not renewed in time: %v", err)
	}
}

func TestTheServerAnswersOnEveryListenerAndStopsGracefully(t *testing.T) {
	authority, err := ensureAuthority(newHome(t))
	if err != nil {
		t.Fatal(err)
	}
	first, err := listenMetrics("")
	if err != nil {
		t.Fatal(err)
	}
	second, err := listenMetrics("")
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(http.NotFoundHandler(), newLogger("json", nil))
	server.TLSConfig = tlsConfig(newCertificates(authority, Options{}, netip.MustParseAddr("198.18.0.2")))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, server, first, second) }()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority.CertificatePEM())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for _, listener := range []net.Listener{first, second} {
		response, err := client.Get("https://" + listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	client.CloseIdleConnections()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(2 * shutdownTimeout):
		t.Fatal("it does not stop")
	}
	if _, err := client.Get("https://" + first.Addr().String()); err == nil {
		t.Error("it answers after it stopped")
	}
}

func TestAPortThatWasGivenIsTakenOrRefusedAndNeverReplaced(t *testing.T) {
	taken, err := listenMetrics("")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := listenFront(taken.Addr().String()); err == nil || !strings.Contains(err.Error(), "--listen") || !strings.Contains(err.Error(), fmt.Sprintf("(pid %d)", os.Getpid())) {
		t.Errorf("got %v", err)
	}
	free, err := listenFront("")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	_, port, err := net.SplitHostPort(free.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < defaultListenPort || n >= defaultListenPort+portsToTry {
		t.Errorf("chose the port %s", port)
	}
}

func TestTheFirstCredentialsAreMintedOnceAndFollowTheEndpoint(t *testing.T) {
	h := newHome(t)
	first, err := ensureIdentity(h, Options{Location: "local"}, "https://127.0.0.1:7443")
	if err != nil {
		t.Fatal(err)
	}
	second, err := ensureIdentity(h, Options{Location: "local"}, "https://berth.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if second.ARMEndpoint != "https://berth.example.com" || first.ClientSecret == "" {
		t.Errorf("got %+v", second)
	}
	second.ARMEndpoint, second.ActiveDirectoryEndpoint = first.ARMEndpoint, first.ActiveDirectoryEndpoint
	if first != second {
		t.Error("the credentials changed with the endpoint")
	}
	if info, err := os.Stat(h.CloudFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the credentials' file: %v, %v", info.Mode(), err)
	}
}

func TestADumpHasNoSecretInIt(t *testing.T) {
	h := newHome(t)
	c := cloud.Cloud{ClientSecret: "the-first-secret-of-all"}
	if err := c.Save(h.CloudFile()); err != nil {
		t.Fatal(err)
	}
	const key = "-----BEGIN EC PRIVATE " + "KEY-----\nabc\ndef\n-----END EC PRIVATE " + "KEY-----"
	secrets := []string{
		"the-first-secret-of-all", "abcdef.0123456789abcdef", "Bearer abcdefghijklmnopqrstuvwxyz", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0x.c2lnbmF0dXJl",
		key, "$2a$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234", "client_secret=hunter2-hunter2",
	}
	text := "before " + strings.Join(secrets, " and ") + " after"
	clean := string(newRedactor(h).clean([]byte(text)))
	for _, secret := range secrets {
		if strings.Contains(clean, secret) {
			t.Errorf("%q is still in %q", secret, clean)
		}
	}
	if !strings.HasPrefix(clean, "before ") || !strings.HasSuffix(clean, " after") {
		t.Errorf("more than the secrets is gone: %q", clean)
	}
	// The same of what the components inside a machine wrote, in the file as it is sent.
	var written bytes.Buffer
	b := &bundle{tar: tar.NewWriter(&written), redact: newRedactor(h), now: time.Now()}
	b.addMachines(t.Context(), fakeLogs{"kubelet.log": []byte(text), "../../../outside.log": nil}, []string{"one"})
	if err := errors.Join(b.failed, b.tar.Close()); err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if bytes.Contains(written.Bytes(), []byte(secret)) {
			t.Errorf("%q is in the dump", secret)
		}
	}
	for _, want := range []string{"berth-support/logs/machines/one/inside/kubelet.log", "berth-support/logs/machines/one/inside/outside.log", "before "} {
		if !bytes.Contains(written.Bytes(), []byte(want)) {
			t.Errorf("%q is not in the dump", want)
		}
	}
	if len(b.problems) != 1 || !strings.Contains(b.problems[0], "machine one") {
		t.Errorf("problems: %q", b.problems)
	}
}

// fakeLogs are the logs of a machine of which not everything could be read.
type fakeLogs map[string][]byte

func (l fakeLogs) Logs(context.Context, string, int64) (map[string][]byte, error) {
	return l, errors.New("some could not be read")
}

func TestStoppingWhatDoesNotRunSaysSo(t *testing.T) {
	h := newHome(t)
	if err := StopDaemon(t.Context(), h); !errors.Is(err, ErrNotRunning) {
		t.Errorf("never started: %v", err)
	}
	// The pid is that of this process, but of another start: it must not be signalled.
	if err := h.WriteDaemon(home.Daemon{PID: os.Getpid(), StartTime: 1, Phase: home.PhaseReady}); err != nil {
		t.Fatal(err)
	}
	if err := StopDaemon(t.Context(), h); !errors.Is(err, ErrNotRunning) {
		t.Errorf("another process of the same pid: %v", err)
	}
}

func TestFollowingTellsProgressAndEndsWithReadyOrTheReason(t *testing.T) {
	h := newHome(t)
	startTime, err := home.ProcessStartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	healthy := httptest.NewServer(health(func(*http.Request) error { return nil }))
	defer healthy.Close()
	daemon := home.Daemon{
		PID: os.Getpid(), StartTime: startTime, Phase: home.PhaseStarting, Message: "building", MetricsEndpoint: healthy.URL,
	}
	if err := h.WriteDaemon(daemon); err != nil {
		t.Fatal(err)
	}
	var told []string
	got, err := follow(t.Context(), h, daemon.PID, nil, func(message string) {
		told = append(told, message)
		daemon.Phase = home.PhaseReady
		if err := h.WriteDaemon(daemon); err != nil {
			t.Error(err)
		}
	})
	if err != nil || got.Phase != home.PhaseReady || len(told) != 1 || told[0] != "building" {
		t.Errorf("got %+v, told %q, %v", got, told, err)
	}
	dead := daemon // as a service that was killed leaves its record
	dead.StartTime++
	if err := h.WriteDaemon(dead); err != nil {
		t.Fatal(err)
	}
	if _, err := follow(t.Context(), h, dead.PID, nil, func(string) {}); !errors.Is(err, errEnded) {
		t.Errorf("a record without its process: %v", err)
	}
	daemon.Phase, daemon.Message = home.PhaseFailed, "the compiler is missing"
	if err := h.WriteDaemon(daemon); err != nil {
		t.Fatal(err)
	}
	if _, err := follow(t.Context(), h, daemon.PID, nil, func(string) {}); err == nil || err.Error() != "the compiler is missing" {
		t.Errorf("got %v", err)
	}
	exited := make(chan error, 1)
	exited <- errors.New("exit status 2")
	if _, err := follow(t.Context(), h, 1<<30, exited, func(string) {}); err == nil || !strings.Contains(err.Error(), "exit status 2") {
		t.Errorf("a process that ends without a word: %v", err)
	}
}
