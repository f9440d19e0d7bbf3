// Package datastore moves the key range of one cluster out of an etcd and into
// one, over etcd's own client: at one revision, page by page, with bounded
// memory. It works on the keys below one prefix and on nothing else, so that an
// etcd may be shared. It knows no files and no management API.
package datastore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"berth.dev/berth/internal/thread"
)

// dialTimeout is how long one connection may take.
const dialTimeout = 5 * time.Second

// Endpoint is where an etcd listens, and who Berth is to it.
type Endpoint struct {
	// Address is host:port, or unix:///path of a socket, which needs no certificates.
	Address string
	// Namespace is the path of the network namespace to dial in; empty: the caller's.
	Namespace string
	// CA verifies the server; Certificate and Key are the client's. All are PEM.
	CA, Certificate, Key []byte
}

// Dial makes a client. It connects when it is used.
func Dial(endpoint Endpoint) (*clientv3.Client, error) {
	config := clientv3.Config{
		DialTimeout: dialTimeout, Logger: zap.NewNop(),
		// Pages and batches are bounded here; the library's own limits are too small for the largest single value.
		MaxCallRecvMsgSize: 64 << 20,
	}
	path, socket := strings.CutPrefix(endpoint.Address, "unix://")
	if socket {
		config.Endpoints = []string{"passthrough:///" + path}
	} else {
		secured, err := endpoint.secured()
		if err != nil {
			return nil, err
		}
		config.TLS = secured
		config.Endpoints = []string{"https://" + endpoint.Address}
	}
	config.DialOptions = []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		if socket {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
		return dialIn(ctx, endpoint.Namespace, endpoint.Address)
	})}
	client, err := clientv3.New(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd: %w", err)
	}
	return client, nil
}

func (e Endpoint) secured() (*tls.Config, error) {
	certificate, err := tls.X509KeyPair(e.Certificate, e.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate for etcd: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(e.CA) {
		return nil, errors.New("reading the CA of etcd: no certificate in the PEM")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities, Certificates: []tls.Certificate{certificate}}, nil
}

// dialIn connects from within a network namespace; without one from the caller's.
func dialIn(ctx context.Context, namespace, address string) (net.Conn, error) {
	if namespace == "" {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	return thread.DialIn(ctx, namespace, address)
}
