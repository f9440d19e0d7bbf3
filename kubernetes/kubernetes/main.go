//go:build ignore

// Command kube-apiserver is upstream's, with two differences that its customers do not
// notice. All kinds of objects share one connection to etcd, where upstream opens one
// for each (connection.go). And if GOGC is set, that holds for its start alone, and an
// idle one takes as little memory and as few of a processor's wake-ups as it can
// (pace.go). It is compiled in a module of its own (the .mod files beside it), never as a
// part of Berth; the constraint above keeps it out of Berth's own build.
package main

import (
	"os"
	_ "time/tzdata" // a CronJob may name a time zone, and the host need not know any

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
