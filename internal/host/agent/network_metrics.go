package agent

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"berth.dev/berth/internal/network"
)

const (
	// measuring bounds how long a scrape looks at the networks.
	measuring = 5 * time.Second
	// maxSeries bounds the series of one kind that a network has; the rest is
	// summed up under otherSeries, so that no tenant fills the registry.
	maxSeries   = 200
	otherSeries = "(other)"
)

// networkMetrics are the metrics of what a Fabric counts.
type networkMetrics struct {
	meter                                     network.Meter
	tracked, limit, rejected, evicted, errors *prometheus.Desc
	rules, services, ports, portLimit, nodes  *prometheus.Desc
}

func newNetworkMetrics(meter network.Meter) *networkMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("berth_network_"+name, help, append([]string{"network"}, labels...), nil)
	}
	return &networkMetrics{
		meter:     meter,
		tracked:   desc("connections_tracked", "Connections that the network's router knows now."),
		limit:     desc("connections_limit", "Connections that the network's router can know."),
		rejected:  desc("connections_rejected_total", "Connections for which the router had no room or no source port."),
		evicted:   desc("connections_evicted_total", "Unanswered connections that the router forgot to make room."),
		rules:     desc("rule_connections_total", "Connections that a security rule let through or dropped.", "subnet", "direction", "rule"),
		services:  desc("service_connections_total", "Connections that the balancer gave to a service.", "service"),
		ports:     desc("outbound_connections", "Connections of a machine that leave the network now.", "machine"),
		portLimit: desc("outbound_ports_limit", "Source ports that a machine leaves the network with.", "machine"),
		nodes:     desc("node_forwards", "1 if a machine that balancers send to forwards, 0 while it says that it does not (kube-proxy's health).", "machine"),
		errors:    prometheus.NewDesc("berth_network_measuring_failed", "1 if a network could not be measured.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *networkMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.tracked, m.limit, m.rejected, m.evicted, m.rules, m.services, m.ports, m.portLimit, m.nodes, m.errors} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (m *networkMetrics) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), measuring)
	defer cancel()
	usages, err := m.meter.Measure(ctx)
	failed := 0.0
	if err != nil {
		failed = 1
	}
	metrics <- prometheus.MustNewConstMetric(m.errors, prometheus.GaugeValue, failed)
	for _, usage := range usages {
		counter := func(desc *prometheus.Desc, value uint64, labels ...string) {
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), append([]string{usage.Network}, labels...)...)
		}
		gauge := func(desc *prometheus.Desc, value uint64, labels ...string) {
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), append([]string{usage.Network}, labels...)...)
		}
		gauge(m.tracked, usage.Tracked)
		gauge(m.limit, usage.TrackedLimit)
		counter(m.rejected, usage.Rejected)
		counter(m.evicted, usage.Evicted)
		for _, s := range bounded(ruleSeries(usage.Rules)) {
			counter(m.rules, s.value, s.labels...)
		}
		for _, s := range bounded(serviceSeries(usage.Services)) {
			counter(m.services, s.value, s.labels...)
		}
		for i, share := range usage.Shares {
			if i < maxSeries {
				gauge(m.ports, share.Used, share.Port)
				gauge(m.portLimit, share.Limit, share.Port)
			}
		}
		for i, node := range usage.Nodes {
			if i < maxSeries {
				gauge(m.nodes, number(node.Forwards), node.Port)
			}
		}
	}
}

func number(is bool) uint64 {
	if is {
		return 1
	}
	return 0
}

// series is one value with its labels.
type series struct {
	labels []string
	value  uint64
}

func ruleSeries(rules []network.RuleUsage) []series {
	var all []series
	for _, r := range rules {
		all = append(all, series{[]string{r.Subnet, string(r.Direction), r.Rule}, r.Connections})
	}
	return all
}

func serviceSeries(services []network.ServiceUsage) []series {
	var all []series
	for _, s := range services {
		all = append(all, series{[]string{s.Name}, s.Connections})
	}
	return all
}

// bounded are the first series by their labels, with the sum of the others.
func bounded(all []series) []series {
	slices.SortFunc(all, func(a, b series) int { return slices.Compare(a.labels, b.labels) })
	if len(all) <= maxSeries {
		return all
	}
	rest := series{labels: slices.Repeat([]string{otherSeries}, len(all[0].labels))}
	for _, s := range all[maxSeries:] {
		rest.value += s.value
	}
	return append(all[:maxSeries:maxSeries], rest)
}
