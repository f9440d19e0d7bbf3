//go:build ignore

// Command kube-apiserver is upstream's, with two differences that cost its customers
// nothing. All kinds of objects share one connection to etcd, where upstream opens one
// for each. And if GOGC is set, that and the number of processors hold only while it is
// busy: an idle one has the time to collect its garbage early, and each of the hundreds
// of timers that wake it in a second costs less where no second processor is woken with
// it. It is compiled in a module of its own (the .mod files beside it), never as a part
// of Berth; the constraint above keeps it out of Berth's own build.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
	_ "time/tzdata" // a CronJob may name a time zone, and the host need not know any
	_ "unsafe"      // go:linkname

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	_ "k8s.io/apiserver/pkg/storage/storagebackend/factory" // newETCD3Client is its
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	shareConnections()
	if os.Getenv("GOGC") != "" {
		go pace()
	}
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}

const (
	// idlePercent is by how many percent the heap of an idle API server grows until
	// its garbage is collected.
	idlePercent = 10
	// idleRate is how many bytes an idle one allocates in a second: a busy one
	// allocates more than that even on a share of a slow processor, and collecting
	// early then would take the rest of it.
	idleRate = 1 << 20
	// burst is what it may allocate at once beside that: those that look now and then
	// what there is take less.
	burst = 4 << 20
	// idleAfter is how many seconds it stays busy at most when it allocates nothing:
	// longer than clients that ask now and then wait, since their next requests are
	// slower; giving back what is free, once then, takes a fifth of a second of a core.
	idleAfter = 30
)

// pace looks once a second whether the API server is busy, and sets the percentage
// and the number of processors. What was allocated fills a bucket that leaks at the
// idle rate: idle is who emptied it, busy who filled it above a burst.
func pace() {
	busyPercent := debug.SetGCPercent(100)
	debug.SetGCPercent(busyPercent)
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	before, level, busy := uint64(0), uint64(0), true
	for range time.Tick(time.Second) {
		metrics.Read(sample)
		now := sample[0].Value.Uint64()
		level = min(level+now-before, idleAfter*idleRate)
		level -= min(level, idleRate)
		before = now
		switch {
		case busy && level == 0:
			debug.SetGCPercent(idlePercent)
			debug.FreeOSMemory()
			runtime.GOMAXPROCS(1)
			busy = false
		case !busy && level > burst:
			runtime.SetDefaultGOMAXPROCS()
			debug.SetGCPercent(busyPercent)
			busy = true
		}
	}
}

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
		panic("k8s.io/apiserver has no newETCD3Client any more: see how it connects to etcd, and change kubernetes/kubernetes/main.go")
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
