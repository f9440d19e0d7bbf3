package managedcluster

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// scrapeTimeout bounds one look at the clusters.
const scrapeTimeout = 5 * time.Second

// expiries tells with each scrape how long the certificates of the clusters hold.
type expiries struct {
	client client.Client
	clock  clock.PassiveClock
	left   *prometheus.Desc
}

func newExpiries(config Config) *expiries {
	return &expiries{client: config.Client, clock: config.Clock, left: prometheus.NewDesc("berth_certificate_expiry_seconds",
		"Seconds until the first of a cluster's certificates that Berth keeps ends unless it is renewed.", []string{"cluster", "certificate"}, nil)}
}

// Describe implements prometheus.Collector.
func (e *expiries) Describe(descs chan<- *prometheus.Desc) { descs <- e.left }

// Collect implements prometheus.Collector.
func (e *expiries) Collect(found chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	var clusters v1alpha1.ManagedClusterList
	if err := e.client.List(ctx, &clusters); err != nil {
		found <- prometheus.NewInvalidMetric(e.left, err)
		return
	}
	for _, cluster := range clusters.Items {
		if status := cluster.Status.Certificates; status != nil {
			found <- prometheus.MustNewConstMetric(e.left, prometheus.GaugeValue,
				status.EarliestExpiry.Sub(e.clock.Now()).Seconds(), cluster.Name, status.EarliestName)
		}
	}
}
