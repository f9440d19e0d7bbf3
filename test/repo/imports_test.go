package repo

import (
	"strconv"
	"strings"
	"testing"
)

const module = "berth.dev/berth/"

// forbidden says which imports would turn the way of the data around. A path
// ending in / stands for all below it.
func forbidden() []struct{ importer, imported, reason string } {
	return []struct{ importer, imported, reason string }{
		{"api/", "internal/", "the hub types are read by everyone and know no one"},
		{"internal/", "internal/app", "only cmd and the commands that start the service know the wiring"},
		{"internal/arm", "internal/rp/", "the ARM protocol knows no product"},
		{"internal/arm", "api/", "the ARM protocol knows no product"},
		{"internal/rp/", "internal/controller/", "a request ends with one object write; controllers watch"},
		{"internal/rp/", "internal/host/", "kernel work happens only in the host agent"},
		{"internal/controller/", "internal/host/", "central controllers bind objects to a host and never call it"},
		{"internal/controller/", "internal/rp/", "controllers know the hub, not the wire"},
		{"internal/controller/", "github.com/vishvananda/netlink", "kernel work happens only in the host agent"},
		{"internal/tenant", "internal/host/", "central controllers bind objects to a host and never call it"},
		{"internal/controlplane", "api/", "a driver gets all it needs as data"},
		{"internal/machine", "api/", "a driver gets all it needs as data"},
		{"internal/network", "api/", "a driver gets all it needs as data"},
		{"internal/dns", "api/", "a driver gets all it needs as data"},
		{"internal/supervise", "k8s.io/", "the supervisor stands beside every machine and must stay small"},
		{"cmd/berth-supervisor", "k8s.io/", "the supervisor stands beside every machine and must stay small"},
		{"internal/cli/", "api/", "the customer's commands see only the wire"},
		{"internal/cli/aks", "internal/rp/", "the customer's commands see only the wire"},
	}
}

// allowed are the importers that a line above would forbid but for their job.
func allowed(importer, imported string) bool {
	switch {
	case strings.HasPrefix(importer, "internal/cli/service"): // starts and stops the service itself
		return imported == "internal/app" || strings.HasPrefix(imported, "api/")
	case strings.HasPrefix(importer, "internal/app"):
		return imported == "internal/app" || strings.HasPrefix(imported, "internal/app/")
	}
	return false
}

func matches(pattern, path string) bool {
	if strings.HasSuffix(pattern, "/") {
		return strings.HasPrefix(path+"/", pattern)
	}
	return path == pattern || strings.HasPrefix(path, pattern+"/")
}

func TestImportsFlowDownward(t *testing.T) {
	for _, file := range goFiles(t) {
		if file.IsTest() {
			continue
		}
		for _, spec := range file.Syntax.Imports {
			quoted, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			imported := strings.TrimPrefix(quoted, module)
			for _, rule := range forbidden() {
				if matches(rule.importer, file.Package()) && matches(rule.imported, imported) && !allowed(file.Package(), imported) {
					t.Errorf("%s imports %s: %s", file.Path, imported, rule.reason)
				}
			}
		}
	}
}

func TestOnlyTheWiringKnowsTheDrivers(t *testing.T) {
	drivers := []string{"internal/controlplane/process", "internal/machine/sandbox", "internal/network/linux", "internal/dns/coredns"}
	for _, file := range goFiles(t) {
		if file.IsTest() || strings.HasPrefix(file.Path, "internal/app/") || strings.HasPrefix(file.Path, "cmd/") {
			continue
		}
		for _, spec := range file.Syntax.Imports {
			imported := strings.TrimPrefix(strings.Trim(spec.Path.Value, `"`), module)
			for _, driver := range drivers {
				if matches(driver, imported) && !matches(driver, file.Package()) {
					t.Errorf("%s imports the driver %s", file.Path, imported)
				}
			}
		}
	}
}
