package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/preflight"
	"berth.dev/berth/internal/thread"
)

// shutdownTimeout is how long requests have to end when the daemon stops.
const shutdownTimeout = 5 * time.Second

// portsToTry is how many ports after the default one are tried.
const portsToTry = 100

// listenFront opens the front end's listener on the host. Without an address
// it takes the first free port from the default one on, and stores it.
func listenFront(address string) (net.Listener, error) {
	if address != "" {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return nil, taken("listening for ARM", "listen", address, err)
		}
		return listener, nil
	}
	var err error
	for port := defaultListenPort; port < defaultListenPort+portsToTry; port++ {
		var listener net.Listener
		if listener, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return listener, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("listening for ARM: %w", err)
}

// listenMetrics opens the listener of metrics and health.
func listenMetrics(address string) (net.Listener, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, taken("listening for metrics", "metrics-listen", address, err)
	}
	return listener, nil
}

// taken says who has an address and what names another.
func taken(doing, flag, address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w: by %s", err, preflight.Holder(address))
	}
	return fmt.Errorf("%s: %w (berth up --%s names another address)", doing, err, flag)
}

// listenIn opens a listener inside a network namespace.
func listenIn(namespace, address string) (net.Listener, error) {
	var listener net.Listener
	err := thread.InNetwork(namespace, func() (err error) {
		listener, err = net.Listen("tcp4", address)
		return err
	})
	return listener, err
}

// limited bounds how many connections are open at each listener. One more waits
// until another ends, as the idle ones do by themselves.
func limited(listeners []net.Listener, connections int) []net.Listener {
	bounded := make([]net.Listener, len(listeners))
	for i, listener := range listeners {
		bounded[i] = netutil.LimitListener(listener, connections)
	}
	return bounded
}

// serve answers on listeners until the context ends, and lets requests that
// are under way end.
func serve(ctx context.Context, server *http.Server, listeners ...net.Listener) error {
	failed := make(chan error, len(listeners))
	for _, listener := range listeners {
		go func() {
			if server.TLSConfig != nil {
				failed <- server.ServeTLS(listener, "", "")
			} else {
				failed <- server.Serve(listener)
			}
		}()
	}
	running := len(listeners)
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		running--
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if shutdownErr := server.Shutdown(stopping); shutdownErr != nil {
		err = errors.Join(err, server.Close())
	}
	for range running {
		<-failed
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// newServer is an HTTP server with the front end's limits.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	server := frontend.Server(handler)
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug) // handshakes that clients broke off
	return server
}
