package service

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count what services did not get. The zero value counts nothing.
type Metrics struct {
	withheld *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(registry prometheus.Registerer) (Metrics, error) {
	m := Metrics{withheld: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "berth_load_balancer_withheld_total",
		Help: "How often a service of a cluster got no load balancer: refused for what it asks, or without an address to have.",
	}, []string{"reason"})}
	err := registry.Register(m.withheld)
	var known prometheus.AlreadyRegisteredError
	if errors.As(err, &known) { // another manager of this process counts into the same
		if vector, ok := known.ExistingCollector.(*prometheus.CounterVec); ok {
			return Metrics{withheld: vector}, nil
		}
	}
	return m, err
}

func (m Metrics) refused() { m.count("refused") }

func (m Metrics) unaddressed() { m.count("address") }

func (m Metrics) count(reason string) {
	if m.withheld != nil {
		m.withheld.WithLabelValues(reason).Inc()
	}
}
