package managedcluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/addon"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controller/fleet"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/tenant"
)

// atOnce comes back as soon as what was reported is written; 0 would not come back.
const atOnce = time.Nanosecond

// addons connects the tenant's API server once it is ready and applies the
// cluster's own RBAC and add-ons to it.
type addons struct {
	config Config

	mu sync.Mutex
	// applied is the digest of the values that this process applied last, by
	// incarnation; the same values are not even rendered again. A new process
	// applies once more, which heals what was changed meanwhile.
	applied map[string]string
	// named are the names of nodes that this process applied last, by incarnation.
	named map[string]string
}

func (p *addons) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if !s.outcomes[v1alpha1.ConditionControlPlaneReady].True || s.credentials == nil || s.planeStops() {
		p.reportUnreachable(s)
		return reconcile.Result{}, nil
	}
	told := v1alpha1.ConditionTrue(s.cluster.Status.Conditions, v1alpha1.ConditionControlPlaneReady)
	if !told && !p.appliedOnce(s) {
		// Applying takes a second, and who waits for the API server is to know of it now.
		s.report(v1alpha1.ConditionAddonsReady, condition.Waiting("waiting for RBAC and add-ons to be applied"))
		return reconcile.Result{RequeueAfter: atOnce}, nil
	}
	t, err := p.config.Tenants.Connect(ctx, s.cluster.Name, s.incarnation(), tenant.Endpoint{
		Address:     s.apiServer.String(),
		Server:      s.controlPlane.Status.Server,
		CA:          s.credentials[pki.ClusterCACert],
		Certificate: s.credentials[pki.ServiceClientCert],
		Key:         s.credentials[pki.ServiceClientKey],
	})
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("connecting the cluster: %w", err)
	}
	s.tenant = t.Client
	values, err := p.values(ctx, s)
	if err != nil {
		return reconcile.Result{}, err
	}
	digest, err := digestOf(values)
	if err != nil {
		return reconcile.Result{}, err
	}
	digest += s.restored() // what a restore took away is applied once more
	if p.last(s) != digest && !s.givesUp() {
		objects, err := addon.Render(values)
		if err != nil {
			return reconcile.Result{}, err
		}
		if err := addon.Apply(ctx, t.Client, objects); err != nil {
			return reconcile.Result{}, err
		}
		p.remember(s, digest)
	}
	if err := p.nameNodes(ctx, s, t.Client); err != nil {
		return reconcile.Result{}, err
	}
	s.report(v1alpha1.ConditionAddonsReady, condition.True("RBAC and add-ons are applied"))
	return reconcile.Result{}, nil
}

// nameNodes lets the cluster's DNS know its nodes, when they are others than
// last time. The machines say so: what a node says of itself is the tenant's.
func (p *addons) nameNodes(ctx context.Context, s *scope, c client.Client) error {
	machines, err := fleet.Of(ctx, p.config.Client, s.cluster.Name)
	if err != nil {
		return err
	}
	var nodes []addon.NodeName
	for _, machine := range machines {
		address, err := netip.ParseAddr(machine.Spec.Address)
		if machine.DeletionTimestamp == nil && err == nil {
			nodes = append(nodes, addon.NodeName{Name: machine.Spec.NodeName, Address: address})
		}
	}
	names := addon.NodeNames(nodes)
	hosts := fmt.Sprint(names.Object["data"])
	p.mu.Lock()
	known := p.named[s.incarnation()] == hosts
	p.mu.Unlock()
	if known || s.givesUp() {
		return nil
	}
	if err := addon.Apply(ctx, c, []*unstructured.Unstructured{names}); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.named[s.incarnation()] = hosts
	return nil
}

// reportUnreachable keeps what was applied once: an API server that is away
// for a moment has lost nothing.
func (p *addons) reportUnreachable(s *scope) {
	if p.appliedOnce(s) {
		s.report(v1alpha1.ConditionAddonsReady, condition.True("RBAC and add-ons are applied"))
		return
	}
	s.report(v1alpha1.ConditionAddonsReady, condition.Waiting("waiting for the control plane"))
}

func (p *addons) appliedOnce(s *scope) bool {
	return p.last(s) != "" || v1alpha1.ConditionTrue(s.cluster.Status.Conditions, v1alpha1.ConditionAddonsReady)
}

// values are what the manifests say of this cluster.
func (p *addons) values(ctx context.Context, s *scope) (addon.Values, error) {
	artifacts, ok := p.config.Releases.Lookup(s.cluster.ServedVersion())
	if !ok {
		return addon.Values{}, fmt.Errorf("finding the images of Kubernetes %s: the release is not built", s.cluster.ServedVersion())
	}
	image := artifacts.Images["coredns"]
	if image == "" {
		return addon.Values{}, fmt.Errorf("finding the image of CoreDNS: Kubernetes %s has none", s.cluster.ServedVersion())
	}
	metricsServer, err := p.metricsServer(ctx, s, artifacts)
	if err != nil {
		return addon.Values{}, err
	}
	return addon.Values{
		APIServerAddress: s.apiServer.String(),
		DNSServiceIP:     s.cluster.Spec.Network.DNSServiceIP, CoreDNSImage: image,
		CoreDNSReplicas: replicas(s.cluster), UpstreamDNS: p.config.UpstreamDNS,
		MetricsServerImage: metricsServer, NodeImage: artifacts.NodeImageName,
		MetricsServerCert: s.credentials[pki.MetricsServerCert], MetricsServerKey: s.credentials[pki.MetricsServerKey],
		ClusterCA: s.credentials[pki.ClusterCACert],
	}, nil
}

// digestOf tells what is applied from what was: the manifests are this
// program's, so they differ only as the values do.
func digestOf(values addon.Values) (string, error) {
	encoded, err := json.Marshal(values)
	if err != nil {
		return "", fmt.Errorf("encoding the values of the add-ons: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:]), nil
}

// metricsServer is the image of metrics-server where a node can run it: one that
// was made from the image that has it. What was applied once stays when the last
// such node goes.
func (p *addons) metricsServer(ctx context.Context, s *scope, artifacts release.Artifacts) (string, error) {
	machines, err := fleet.Of(ctx, p.config.Client, s.cluster.Name)
	if err != nil {
		return "", err
	}
	for _, machine := range machines {
		if machine.Status.NodeImage == artifacts.NodeImageName {
			return artifacts.Images["metrics-server"], nil
		}
	}
	return "", nil
}

// replicas is how many DNS servers a cluster has: by the nodes that ask, as AKS's
// autoscaler of CoreDNS has it, and no more than System nodes to take them apart.
func replicas(cluster *v1alpha1.ManagedCluster) int {
	var nodes, system int32
	for _, pool := range cluster.Spec.AgentPools {
		nodes += pool.Count
		if pool.Mode == "System" {
			system += pool.Count
		}
	}
	wanted := int32(1)
	for _, least := range []int32{2, 8, 16, 32} {
		if nodes >= least {
			wanted++
		}
	}
	return int(max(1, min(wanted, system)))
}

func (p *addons) last(s *scope) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.applied[s.incarnation()]
}

func (p *addons) remember(s *scope, digest string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.applied[s.incarnation()] = digest
}

// forget drops the memory of a cluster that is being deleted.
func (p *addons) forget(incarnation string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.applied, incarnation)
	delete(p.named, incarnation)
}
