package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"berth.dev/berth/internal/network"
)

type meter struct {
	usages []network.Usage
	err    error
}

func (m meter) Measure(context.Context) ([]network.Usage, error) { return m.usages, m.err }

func TestNetworksAreMeasured(t *testing.T) {
	usage := network.Usage{
		Network: "alpha", Tracked: 3, TrackedLimit: 100, Rejected: 2, Evicted: 1,
		Rules:    []network.RuleUsage{{Subnet: "web", Direction: network.Inbound, Rule: "no-web2", Connections: 7}},
		Services: []network.ServiceUsage{{Name: "default/web", Connections: 9}},
		Shares:   []network.ShareUsage{{Port: "one", Used: 4, Limit: 8000}},
		Nodes:    []network.NodeUsage{{Port: "one", Forwards: true}, {Port: "two"}},
	}
	registry := prometheus.NewRegistry()
	if err := registry.Register(newNetworkMetrics(meter{[]network.Usage{usage}, errors.New("beta is not to be measured")})); err != nil {
		t.Fatal(err)
	}
	want := `
# HELP berth_network_connections_rejected_total Connections for which the router had no room or no source port.
# TYPE berth_network_connections_rejected_total counter
berth_network_connections_rejected_total{network="alpha"} 2
# HELP berth_network_measuring_failed 1 if a network could not be measured.
# TYPE berth_network_measuring_failed gauge
berth_network_measuring_failed 1
# HELP berth_network_node_forwards 1 if a machine that balancers send to forwards, 0 while it says that it does not (kube-proxy's health).
# TYPE berth_network_node_forwards gauge
berth_network_node_forwards{machine="one",network="alpha"} 1
berth_network_node_forwards{machine="two",network="alpha"} 0
# HELP berth_network_outbound_connections Connections of a machine that leave the network now.
# TYPE berth_network_outbound_connections gauge
berth_network_outbound_connections{machine="one",network="alpha"} 4
# HELP berth_network_rule_connections_total Connections that a security rule let through or dropped.
# TYPE berth_network_rule_connections_total counter
berth_network_rule_connections_total{direction="Inbound",network="alpha",rule="no-web2",subnet="web"} 7
# HELP berth_network_service_connections_total Connections that the balancer gave to a service.
# TYPE berth_network_service_connections_total counter
berth_network_service_connections_total{network="alpha",service="default/web"} 9
`
	err := testutil.GatherAndCompare(registry, strings.NewReader(want), "berth_network_connections_rejected_total", "berth_network_measuring_failed",
		"berth_network_node_forwards", "berth_network_outbound_connections", "berth_network_rule_connections_total", "berth_network_service_connections_total")
	if err != nil {
		t.Error(err)
	}
}

func TestATenantWithManyRulesDoesNotFillTheRegistry(t *testing.T) {
	usage := network.Usage{Network: "alpha"}
	for i := range 3 * maxSeries {
		usage.Rules = append(usage.Rules, network.RuleUsage{Subnet: "web", Direction: network.Inbound, Rule: fmt.Sprintf("rule-%04d", i), Connections: 1})
	}
	all := bounded(ruleSeries(usage.Rules))
	if len(all) != maxSeries+1 || all[maxSeries].value != 2*maxSeries || all[maxSeries].labels[2] != otherSeries {
		t.Errorf("%d series, the last %+v", len(all), all[len(all)-1])
	}
}
