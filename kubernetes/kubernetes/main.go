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
