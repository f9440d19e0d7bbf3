package supervise

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// gated is a component that waits for a gate.
func gated(gate Probe) Component {
	c := sleeper("a")
	c.Gate = &gate
	return c
}

// opens checks that a component waits for its gate, opens the gate, and checks that it starts.
func opens(t *testing.T, gate Probe, waiting string, open func()) {
	t.Helper()
	handle := newHandle(t)
	ensure(t, handle, gated(gate), sleeper("b"))
	observe(t, handle, "b", running) // a gate holds up its own component only
	got := observe(t, handle, "a", func(c ComponentStatus) bool { return strings.Contains(c.Waiting, waiting) })
	if got.PID != 0 {
		t.Errorf("a = %+v runs before its gate is open", got)
	}
	open()
	if got = observe(t, handle, "a", running); got.Waiting != "" {
		t.Errorf("a = %+v still waits", got)
	}
}

// lookOnce looks at a gate once.
func lookOnce(gate Probe) error {
	prober := &prober{probe: gate}
	defer prober.close()
	return prober.look(context.Background())
}

// clientPair is a self-signed certificate, which is valid for an hour, and its key.
func clientPair(t *testing.T) []byte {
	t.Helper()
	return clientPairUntil(t, time.Now().Add(time.Hour))
}

func clientPairUntil(t *testing.T, end time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: end}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
}

func TestAFileGateOpensWhenTheFileIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gate")
	opens(t, Probe{File: path}, "no such file", func() {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Error(err)
		}
	})
}

func TestSocketGatesOpenWhenSomeoneListens(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "socket")
	for _, gate := range []struct {
		network, address, waiting string
		probe                     Probe
	}{
		{"tcp", address, "connection refused", Probe{TCP: address}},
		{"unix", socket, "no such file", Probe{Unix: socket}},
	} {
		t.Run(gate.network, func(t *testing.T) {
			opens(t, gate.probe, gate.waiting, func() {
				listener, err := net.Listen(gate.network, gate.address)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { listener.Close() })
			})
		})
	}
}

func TestAMetricGateOpensAtASampleOfTheMetric(t *testing.T) {
	const comments = "# HELP synced_seconds When it last was in sync.\n# TYPE synced_seconds gauge\n"
	var answer atomic.Value
	answer.Store(comments + "synced_seconds_total 1\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			fmt.Fprint(w, answer.Load())
		}
	}))
	t.Cleanup(server.Close)
	gate := Probe{TCP: server.Listener.Addr().String(), Metric: "synced_seconds"}
	opens(t, gate, "without synced_seconds", func() { answer.Store(comments + "synced_seconds{family=\"IPv4\"} 1.7e+09\n") })
	answer.Store(comments + "synced_seconds 1\n")
	if err := lookOnce(gate); err != nil {
		t.Error(err)
	}
	for _, far := range []string{"", "192.0.2.1:80", "localhost:80"} {
		if err := (Probe{TCP: far, Metric: "synced_seconds"}).validate(); err == nil {
			t.Errorf("a metric at %q is asked for", far)
		}
	}
}

func TestAnHTTPSGateOpensAt200FromTheServerThatItKnowsWithTheTokenThatItHas(t *testing.T) {
	var ready atomic.Bool
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ready.Load() || r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, content := range map[string][]byte{"ca": authority, "token": []byte("secret\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gate := Probe{HTTPS: server.URL + "/readyz", CAFile: filepath.Join(dir, "ca"), TokenFile: filepath.Join(dir, "token"), ServerName: "example.com"}
	opens(t, gate, "HTTP 503", func() { ready.Store(true) })

	stranger := gate
	stranger.CAFile = "" // the host's authorities do not know the server
	if err := lookOnce(stranger); err == nil {
		t.Error("a gate opened for a server that it cannot verify")
	}
	misnamed := gate
	misnamed.ServerName = "example.org"
	if err := lookOnce(misnamed); err == nil {
		t.Error("a gate opened for a server of another name")
	}
}

func TestAnHTTPSGateShowsItsCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	pair := filepath.Join(dir, "pair")
	if err := os.WriteFile(pair, clientPair(t), 0o600); err != nil {
		t.Fatal(err)
	}
	authority := filepath.Join(dir, "ca")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	gate := Probe{HTTPS: server.URL, CAFile: authority}
	if err := lookOnce(gate); err == nil || strings.Contains(err.Error(), "HTTP") {
		t.Errorf("without a certificate: %v, want a failed handshake", err)
	}
	gate.CertFile, gate.KeyFile = pair, pair
	if err := lookOnce(gate); err == nil || err.Error() != "HTTP 404" {
		t.Errorf("with a certificate: %v, want HTTP 404", err)
	}
}

func TestAnHTTPSGateShowsItsTokenUntilItHasACertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 == (r.Header.Get("Authorization") == "") {
			w.WriteHeader(http.StatusUnauthorized) // neither, or both
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	gate := Probe{HTTPS: server.URL, CAFile: filepath.Join(dir, "ca"), TokenFile: filepath.Join(dir, "token"),
		CertFile: filepath.Join(dir, "pair"), KeyFile: filepath.Join(dir, "pair")}
	write := func(path string, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(gate.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	write(gate.TokenFile, []byte("secret"))
	if err := lookOnce(gate); err != nil {
		t.Errorf("with the token alone: %v", err)
	}
	write(gate.CertFile, clientPair(t))
	if err := os.Remove(gate.TokenFile); err != nil {
		t.Fatal(err)
	}
	if err := lookOnce(gate); err != nil {
		t.Errorf("with a certificate and the token gone: %v", err)
	}
}

func TestAGateWhoseCertificateEndedShowsItsTokenUntilThereIsAnother(t *testing.T) {
	var accepted atomic.Bool // the token
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) > 0 && time.Now().After(r.TLS.PeerCertificates[0].NotAfter) ||
			len(r.TLS.PeerCertificates) == 0 && !accepted.Load() {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	gate := Probe{HTTPS: server.URL, CAFile: filepath.Join(dir, "ca"), TokenFile: filepath.Join(dir, "token"),
		CertFile: filepath.Join(dir, "pair"), KeyFile: filepath.Join(dir, "pair")}
	write := func(path string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(gate.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	write(gate.TokenFile, []byte("secret"))
	write(gate.CertFile, clientPairUntil(t, time.Now().Add(-time.Minute)))
	other := gate
	other.TokenFile = "" // it has nothing but the certificate
	second := gated(other)
	second.Name = "b"
	handle := newHandle(t)
	ensure(t, handle, gated(gate), second)
	waits := func(c ComponentStatus) bool { return strings.Contains(c.Waiting, "HTTP 401") }
	observe(t, handle, "a", func(c ComponentStatus) bool { return waits(c) && c.Ended })
	observe(t, handle, "b", func(c ComponentStatus) bool { return waits(c) && !c.Ended })
	accepted.Store(true)
	observe(t, handle, "a", func(c ComponentStatus) bool { return running(c) && c.Ended }) // it is yet to ask for another
	observe(t, handle, "b", waits)
	write(gate.CertFile, clientPair(t))
	observe(t, handle, "a", func(c ComponentStatus) bool { return running(c) && !c.Ended })
	observe(t, handle, "b", running)
}

func TestTheGateOfADeadComponentIsAskedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gate")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	handle := newHandle(t)
	c := gated(Probe{File: path})
	c.Command = []string{"/bin/sh", "-c", "sleep 0.2; exit 1"}
	ensure(t, handle, c)
	observe(t, handle, "a", running)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	got := observe(t, handle, "a", func(c ComponentStatus) bool { return c.Waiting != "" })
	if got.Restarts == 0 || got.LastExit != "exit status 1" {
		t.Errorf("a = %+v, want one that died and waits", got)
	}
	time.Sleep(2 * backoffFirst) // nothing may happen, so nothing can be watched
	if got = observe(t, handle, "a", func(ComponentStatus) bool { return true }); got.PID != 0 {
		t.Errorf("a = %+v started though its gate is closed", got)
	}
}
