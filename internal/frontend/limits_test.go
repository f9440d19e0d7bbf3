package frontend_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"berth.dev/berth/internal/frontend"
)

// limitedServer serves a handler with the front end's limits over TLS and
// HTTP/2, and says how to dial it.
func limitedServer(t *testing.T, handler http.HandlerFunc) (dial func(protocol string) *tls.Conn) {
	t.Helper()
	r := newRig(t)
	server := frontend.Server(handler)
	server.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	server.TLSConfig = &tls.Config{Certificates: r.server.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	roots := r.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return func(protocol string) *tls.Conn {
		connection, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{RootCAs: roots, NextProtos: []string{protocol}, MinVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		if err := connection.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return connection
	}
}

// openHTTP2 begins to speak HTTP/2 and reads the server's settings.
func openHTTP2(t *testing.T, connection *tls.Conn) (*http2.Framer, map[http2.SettingID]uint32) {
	t.Helper()
	if protocol := connection.ConnectionState().NegotiatedProtocol; protocol != "h2" {
		t.Fatalf("the server speaks %q", protocol)
	}
	if _, err := io.WriteString(connection, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(connection, connection)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	frame, err := framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings := map[http2.SettingID]uint32{}
	if err := frame.(*http2.SettingsFrame).ForeachSetting(func(s http2.Setting) error {
		settings[s.ID] = s.Val
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return framer, settings
}

// headerBlock are the headers of a request, with so much more.
func headerBlock(t *testing.T, more int) []byte {
	t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	fields := []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "berth.example"}, {Name: ":path", Value: "/"}}
	for range more / 1000 {
		fields = append(fields, hpack.HeaderField{Name: "x-more", Value: strings.Repeat("m", 1000)})
	}
	for _, field := range fields {
		if err := encoder.WriteField(field); err != nil {
			t.Fatal(err)
		}
	}
	return block.Bytes()
}

func TestStreamsThatAreResetKeepNoMoreHandlersBusyThanAConnectionMayHave(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int64
	release := make(chan struct{})
	dial := limitedServer(t, func(http.ResponseWriter, *http.Request) {
		now := running.Add(1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		<-release
		running.Add(-1)
	})
	defer close(release)
	framer, settings := openHTTP2(t, dial("h2"))
	limit := settings[http2.SettingMaxConcurrentStreams]
	if limit == 0 || limit > 100 {
		t.Fatalf("a connection may have %d requests in hand", limit)
	}
	block := headerBlock(t, 0)
	closed := make(chan error, 1)
	go func() { // what the server says, up to its end
		for {
			if _, err := framer.ReadFrame(); err != nil {
				closed <- err
				return
			}
		}
	}()
	ended := false
	for stream := uint32(1); stream < 20_000 && !ended; stream += 2 {
		err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndStream: true, EndHeaders: true})
		if err == nil {
			err = framer.WriteRSTStream(stream, http2.ErrCodeCancel)
		}
		ended = err != nil
	}
	select {
	case <-closed:
	case <-time.After(15 * time.Second):
		t.Error("the server goes on reading from who resets 10,000 streams")
	}
	if most.Load() > int64(limit) {
		t.Errorf("%d handlers were busy at once for one connection, which may have %d requests", most.Load(), limit)
	}
}

func TestHeadersThatAreTooLargeAreRefused(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	dial := limitedServer(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	t.Run("with HTTP/2", func(t *testing.T) {
		framer, _ := openHTTP2(t, dial("h2"))
		block := headerBlock(t, 300_000) // a few hundred bytes before they are decoded
		if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true, EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if answer, ok := frame.(*http2.HeadersFrame); ok {
				decoder := hpack.NewDecoder(4096, nil)
				fields, err := decoder.DecodeFull(answer.HeaderBlockFragment())
				if err != nil || fields[0].Value != "431" {
					t.Fatalf("answered %v, %v", fields, err)
				}
				return
			}
		}
	})
	t.Run("without", func(t *testing.T) {
		connection := dial("http/1.1")
		if _, err := io.WriteString(connection, "GET / HTTP/1.1\r\nHost: x\r\nX-More: "+strings.Repeat("m", 100_000)+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("answered %s", response.Status)
		}
	})
	if reached.Load() {
		t.Error("a request with so many headers reached the handler")
	}
}
