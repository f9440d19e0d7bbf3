//go:build ignore

package main

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	_ "unsafe" // go:linkname

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	_ "k8s.io/apiserver/pkg/storage/storagebackend/factory" // newETCD3Client is its
)

// newETCD3Client makes the etcd client of a kind of object, of a health check or of
// the compactor. It is upstream's, which has it in a variable so that tests can replace it.
//
//go:linkname newETCD3Client k8s.io/apiserver/pkg/storage/storagebackend/factory.newETCD3Client
var newETCD3Client func(storagebackend.TransportConfig) (*kubernetes.Client, error)

// shareConnections lets all clients of the same etcd use the connection of the first.
// Some 60 built-in kinds and every CustomResourceDefinition would have one each, with
// its goroutines, its buffers on both sides and its TLS handshake. Requests and watches
// are streams of HTTP/2 there, which etcd answers in turn, so none waits for a long one.
func shareConnections() {
	if newETCD3Client == nil {
		panic("k8s.io/apiserver has no newETCD3Client any more: see how it connects to etcd, and change connection.go")
	}
	connect := newETCD3Client
	var mu sync.Mutex
	connected := map[string]*clientv3.Client{} // by what upstream tells its compactors apart with
	newETCD3Client = func(config storagebackend.TransportConfig) (*kubernetes.Client, error) {
		mu.Lock()
		defer mu.Unlock()
		key := fmt.Sprintf("%v", config)
		if connected[key] == nil {
			first, err := connect(config)
			if err != nil {
				return nil, err
			}
			connected[key] = first.Client
		}
		client := &kubernetes.Client{Client: over(connected[key])}
		client.Kubernetes = client
		return client, nil
	}
}

// over is a client that uses the connection of another and leaves it open when it is
// closed, as that of a deleted CustomResourceDefinition is. Its watches and leases are
// its own and end with it.
func over(first *clientv3.Client) *clientv3.Client {
	client := clientv3.NewCtxClient(context.Background(), clientv3.WithZapLogger(first.GetLogger()))
	client.Cluster, client.KV, client.Auth, client.Maintenance = first.Cluster, first.KV, first.Auth, first.Maintenance
	client.Watcher, client.Lease = clientv3.NewWatcher(first), clientv3.NewLease(first)
	// The compactor and the monitor of etcd's size run once for each endpoint that their
	// client names, and only SetEndpoints could tell it, which wants a connection of its own.
	endpoints := reflect.ValueOf(client).Elem().FieldByName("endpoints")
	*(*[]string)(endpoints.Addr().UnsafePointer()) = first.Endpoints()
	return client
}
