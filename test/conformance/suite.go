package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2/types"
)

// The suites.
const (
	// suiteConformance is what upstream labels Conformance.
	suiteConformance = "conformance"
	// suiteNetwork are the specs of sig-network that apply.
	suiteNetwork = "network"
	// suiteShort are few of sig-network that take seconds and between them try
	// names, endpoints, node ports, clients that stay, and balancers.
	suiteShort = "short"
)

// short are the specs of suiteShort.
func short() []string {
	return []string{
		"[sig-network] DNS should provide DNS for services [Conformance]",
		"[sig-network] EndpointSlice should support a Service with multiple endpoint IPs specified in multiple EndpointSlices [Conformance]",
		"[sig-network] LoadBalancers [Feature:LoadBalancer] should be able to change the type and ports of a TCP service [Slow]",
		"[sig-network] LoadBalancers ExternalTrafficPolicy: Local [Feature:LoadBalancer] [Slow] should target all nodes with endpoints",
		"[sig-network] Services should be able to create a functioning NodePort service [Conformance]",
		"[sig-network] Services should have session affinity work for service with type clusterIP [LinuxOnly] [Conformance]",
	}
}

// shape is what a cluster has that specs run on.
type shape struct {
	nodes int
	size  string
	// zones are the failure domains that its nodes are spread over, if any.
	zones []string
}

// shapeOf is the shape that a suite asks for, with another number of nodes
// unless that is 0. Conformance asks for two nodes; some specs of sig-network
// skip themselves unless there are three zones.
func shapeOf(suite string, nodes int) shape {
	wanted := shape{nodes: 2, size: "Standard_D4s_v3"}
	if suite == suiteNetwork {
		wanted = shape{nodes: 3, size: "Standard_DS2_v2", zones: []string{"1", "2", "3"}}
	}
	if nodes > 0 {
		wanted.nodes = nodes
	}
	return wanted
}

// exception is why specs of sig-network are not run.
type exception struct {
	// label is one that a spec has, or text a part of its name.
	label, text string
	reason      string
}

// exceptions are the specs of sig-network that ask for what Berth does not
// have, or what no managed cluster lets a test do. docs/conformance.md lists them.
func exceptions() []exception {
	return []exception{
		{label: "Feature:NetworkPolicy", reason: "the built-in network plugin enforces no network policies"},
		{label: "Feature:IPv6DualStack", reason: "there is no IPv6"},
		{label: "Feature:Networking-IPv6", reason: "there is no IPv6"},
		{label: "Feature:SCTPConnectivity", reason: "the balancer and the nodes' kernel modules know no SCTP"},
		{label: "Feature:Networking-DNS", reason: "needs the Internet"},
		{label: "Feature:Networking-IPv4", reason: "needs the Internet"},
		{label: "Feature:Networking-Performance", reason: "measures; bench/ does"},
		{label: "Feature:PerformanceDNS", reason: "measures, with 10000 services"},
		{label: "Feature:KubeProxyDaemonSetUpgrade", reason: "kube-proxy is a process of the node, not a DaemonSet"},
		{label: "Feature:KubeProxyDaemonSetDowngrade", reason: "kube-proxy is a process of the node, not a DaemonSet"},
		{label: "Feature:KubeProxyNFAcct", reason: "a metric of kube-proxy's iptables mode; nodes run nftables"},
		{label: "Feature:OffByDefault", reason: "an alpha feature gate that is off"},
		{label: "Disruptive", reason: "deletes pods of kube-proxy and the API server, which are processes here, or flushes iptables over SSH"},
		{text: "LoadBalancer Service without NodePort", reason: "allocateLoadBalancerNodePorts: false is refused: the balancer forwards to node ports"},
		{text: "DNS configMap nameserver", reason: "writes into the ConfigMap coredns, which is the service's; coredns-custom is the cluster's"},
	}
}

// choose says whether a spec belongs to a suite, and otherwise why not if it
// is one that was left out.
func choose(suite string, spec types.SpecReport) (belongs bool, reason string) {
	if suite == suiteConformance {
		return slices.Contains(spec.Labels(), "Conformance"), ""
	}
	if suite == suiteShort {
		return slices.Contains(short(), spec.FullText()), ""
	}
	if !strings.HasPrefix(spec.FullText(), "[sig-network]") {
		return false, ""
	}
	for _, e := range exceptions() {
		if e.label != "" && slices.Contains(spec.Labels(), e.label) || e.text != "" && strings.Contains(spec.FullText(), e.text) {
			return false, e.reason
		}
	}
	return true, ""
}

// checkSuite says which suites there are.
func checkSuite(name string) error {
	if name != suiteConformance && name != suiteNetwork && name != suiteShort {
		return fmt.Errorf("-suite %q: use %s, %s or %s", name, suiteConformance, suiteNetwork, suiteShort)
	}
	return nil
}
