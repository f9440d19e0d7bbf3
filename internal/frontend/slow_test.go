package frontend_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

func progress(scope, phase, message string) meta.Progress {
	return meta.Progress{Scope: scope, Phase: phase, Message: message}
}

// serveTLS starts a server with the rig's certificate; the function that it
// returns sends a piece of a request and then nothing more.
func serveTLS(t *testing.T, r *rig, server *http.Server) func(string) io.Reader {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- server.Serve(tls.NewListener(listener, &tls.Config{Certificates: r.server.TLS.Certificates, MinVersion: tls.VersionTLS12}))
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	roots := r.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return func(piece string) io.Reader {
		connection, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		if err := connection.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(connection, piece); err != nil {
			t.Fatal(err)
		}
		return connection
	}
}
