//go:build ignore

// Command kube-apiserver is upstream's. If GOGC is set, that and the number of
// processors hold only while it is busy: an idle one has the time to collect its
// garbage early, and each of the hundreds of timers that wake it in a second costs
// less where no second processor is woken with it. It is compiled in a module of its
// own (the .mod files beside it), never as a part of Berth; the constraint above
// keeps it out of Berth's own build.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
	_ "time/tzdata" // a CronJob may name a time zone, and the host need not know any

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if os.Getenv("GOGC") != "" {
		go pace()
	}
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}

const (
	// idlePercent is by how many percent the heap of an idle API server grows until
	// its garbage is collected.
	idlePercent = 10
	// busyRate is how many bytes a busy one allocates in a second.
	busyRate = 4 << 20
	// idleAfter is how many seconds without one of them make it idle: longer than
	// clients that ask now and then wait, since their next requests are slower; giving
	// back what is free, once then, takes a fifth of a second of a core.
	idleAfter = 30
)

// pace looks once a second whether the API server is busy, and sets the percentage
// and the number of processors.
func pace() {
	busyPercent := debug.SetGCPercent(100)
	debug.SetGCPercent(busyPercent)
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	before, quiet := uint64(0), 0
	for range time.Tick(time.Second) {
		metrics.Read(sample)
		now := sample[0].Value.Uint64()
		if now-before < busyRate {
			quiet++
		} else {
			if quiet >= idleAfter {
				runtime.SetDefaultGOMAXPROCS()
				debug.SetGCPercent(busyPercent)
			}
			quiet = 0
		}
		before = now
		if quiet == idleAfter {
			debug.SetGCPercent(idlePercent)
			debug.FreeOSMemory()
			runtime.GOMAXPROCS(1)
		}
	}
}
