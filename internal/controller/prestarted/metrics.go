package prestarted

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// scrapeTimeout bounds one look at the pool.
const scrapeTimeout = 5 * time.Second

// poolMetrics tell with each scrape how many control planes wait for a cluster, and
// count what became of those that did.
type poolMetrics struct {
	client             client.Client
	size               int
	planes             *prometheus.Desc
	claimed, abandoned prometheus.Counter
}

func newMetrics(config Config) *poolMetrics {
	counter := func(result string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Name: "berth_prestarted_claims_total", ConstLabels: prometheus.Labels{"result": result},
			Help: "Pre-started control planes that were claimed for a cluster, by whether the cluster came.",
		})
	}
	return &poolMetrics{
		client: config.Client, size: config.Size, claimed: counter("cluster"), abandoned: counter("abandoned"),
		planes: prometheus.NewDesc("berth_prestarted_control_planes",
			"Control planes that wait for a cluster: how many are wanted, and how many start or are ready.", []string{"state"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *poolMetrics) Describe(descs chan<- *prometheus.Desc) {
	descs <- m.planes
	m.claimed.Describe(descs)
}

// Collect implements prometheus.Collector.
func (m *poolMetrics) Collect(found chan<- prometheus.Metric) {
	m.claimed.Collect(found)
	m.abandoned.Collect(found)
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	var planes v1alpha1.ControlPlaneList
	if err := m.client.List(ctx, &planes, client.HasLabels{v1alpha1.PrestartedLabel}); err != nil {
		found <- prometheus.NewInvalidMetric(m.planes, err)
		return
	}
	counts := map[string]int{"wanted": m.size, "starting": 0, "ready": 0}
	for i := range planes.Items {
		state := "starting"
		if v1alpha1.ConditionTrue(planes.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
			state = "ready"
		}
		counts[state]++
	}
	for state, count := range counts {
		found <- prometheus.MustNewConstMetric(m.planes, prometheus.GaugeValue, float64(count), state)
	}
}
