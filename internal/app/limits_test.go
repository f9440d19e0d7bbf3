package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// served serves a handler as the daemon does and says where, how, how to stop
// it, and what came of that.
func served(t *testing.T, connections int, handler http.Handler) (url string, roots *x509.CertPool, stop context.CancelFunc, done chan error) {
	t.Helper()
	authority, err := ensureAuthority(newHome(t))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := listenMetrics("")
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(handler, newLogger("json", io.Discard))
	server.TLSConfig = tlsConfig(newCertificates(authority, Options{}, netip.MustParseAddr("198.18.0.2")))
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	done = make(chan error, 1)
	go func() { done <- serve(ctx, server, limited([]net.Listener{listener}, connections)...) }()
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.CertificatePEM())
	return "https://" + listener.Addr().String(), roots, stop, done
}

func TestAConnectionTooManyWaitsUntilAnotherEnds(t *testing.T) {
	url, roots, _, _ := served(t, 2, http.NotFoundHandler())
	address := url[len("https://"):]
	open := func() *tls.Conn {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		return tls.Client(connection, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12})
	}
	first, second, third := open(), open(), open()
	for _, connection := range []*tls.Conn{first, second} {
		if err := connection.Handshake(); err != nil {
			t.Fatal(err)
		}
	}
	answered := make(chan error, 1)
	go func() { answered <- third.Handshake() }()
	select {
	case err := <-answered:
		t.Fatalf("a third connection was answered beside two: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	first.Close()
	select {
	case err := <-answered:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the third connection is not answered after the first has ended")
	}
}

func TestRequestsThatAreUnderWayAreAnsweredWhenTheServiceStops(t *testing.T) {
	const callers = 50
	var arrived sync.WaitGroup
	arrived.Add(callers)
	release := make(chan struct{})
	url, roots, stop, done := served(t, 100, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived.Done()
		<-release
		_, _ = io.WriteString(w, "whole")
	}))
	answers := make(chan error, callers)
	for range callers {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
		defer transport.CloseIdleConnections()
		go func() {
			response, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get(url)
			if err == nil {
				defer response.Body.Close()
				var body []byte
				if body, err = io.ReadAll(response.Body); err == nil && string(body) != "whole" {
					err = io.ErrUnexpectedEOF
				}
			}
			answers <- err
		}()
	}
	arrived.Wait()
	stop()
	address := url[len("https://"):]
	for deadline := time.Now().Add(10 * time.Second); ; { // it stops to listen before it waits for answers
		connection, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		connection.Close()
		if time.Now().After(deadline) {
			t.Fatal("it goes on listening")
		}
	}
	close(release)
	for range callers {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
