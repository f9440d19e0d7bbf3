// Package containerservice is the resource provider Microsoft.ContainerService:
// it turns requests for managed clusters and agent pools into the desired state
// of ManagedCluster objects, one object write each, and what controllers
// observed back into answers. The way of a write is decode, default, validate
// (property, convert.go, validate_*.go), admit (admit_*.go: pure functions
// over old, new and facts), write (write.go). It runs nothing itself.
package containerservice

import (
	"context"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/containerservice/property"
	"berth.dev/berth/internal/rp/operation"
	"berth.dev/berth/internal/rp/resources"
)

// Namespace is the name of the resource provider.
const Namespace = "Microsoft.ContainerService"

// Options are what the provider needs.
type Options struct {
	// Client reaches the management API with live reads.
	Client client.Client
	// Tokens decides who may see an operation.
	Tokens *identity.Service
	// Operations finds operations and starts deletions.
	Operations operation.Store
	// Location is the only region, TenantID the only tenant.
	Location, TenantID string
	// DNSResolvable says that clients resolve the install zone, so that
	// kubeconfigs name the API server's FQDN and not its address.
	DNSResolvable bool
	// AllowNoAgentPools accepts clusters without pools, for customers who bring
	// their own nodes.
	AllowNoAgentPools bool
	// RecordUnsupported keeps the values of properties that nothing acts on, and
	// lists them, instead of refusing them.
	RecordUnsupported bool
	// UpgradeSoak is for how long a control plane that was upgraded to another minor
	// has to be healthy before it is lifted and the pools follow, ControlPlaneSoak
	// the same for an upgrade of the control plane alone; 0 means the defaults.
	UpgradeSoak, ControlPlaneSoak time.Duration
	// DialTenant connects the API server of a cluster for a few reads; nil: the real one.
	DialTenant func(context.Context, *containerservicev1alpha1.ManagedCluster) (client.Reader, func(), error)
	// Backups reads backups; nil: none can be restored.
	Backups Backups
	// Shared says that other front ends write to the same management API.
	Shared bool
	// Admission is held from reading how much of the hosts is given out to the
	// write that takes more, so that two requests cannot both take the last of
	// it. Providers of one process share it; nil: one of its own. What other
	// processes take is in the ledger (reserve.go).
	Admission *sync.Mutex
	// Now is the clock.
	Now func() time.Time
}

// Provider answers the routes of Microsoft.ContainerService.
type Provider struct {
	Options
	clusterSchema, poolSchema *arm.Schema
	admission                 *sync.Mutex
	// replay is the queued operation that this provider sees to; nil for one that answers callers.
	replay *replay
}

// NewProvider makes a provider; it has no side effects.
func NewProvider(options Options) (*Provider, error) {
	clusters, err := arm.NewSchema(property.Cluster())
	if err != nil {
		return nil, err
	}
	pools, err := arm.NewSchema(property.Pool())
	if err != nil {
		return nil, err
	}
	if options.RecordUnsupported {
		clusters, pools = clusters.Recording(), pools.Recording()
	}
	if options.Admission == nil {
		options.Admission = &sync.Mutex{}
	}
	return &Provider{Options: options, clusterSchema: clusters, poolSchema: pools, admission: options.Admission}, nil
}

// GroupLabel is on every cluster, so that a list reads no others: the name of
// its resource group's object.
const GroupLabel = "resources.berth.dev/resource-group"

// ClusterID is the ARM id of a cluster.
func ClusterID(subscriptionID, group, name string) arm.ResourceID {
	return arm.ResourceID{SubscriptionID: subscriptionID, ResourceGroup: group, Provider: Namespace, Types: []string{"managedClusters"}, Names: []string{name}}
}

// IDOf is the ARM id of a cluster, or of the pool that a scope names.
func IDOf(cluster *containerservicev1alpha1.ManagedCluster, scope string) string {
	id := ClusterID(cluster.Spec.SubscriptionID, cluster.Spec.ResourceGroup, cluster.Spec.Name)
	if scope != meta.ScopeCluster {
		id = id.Child("agentPools", scope)
	}
	return id.String()
}

// wireID is an id in the casing that the public service answers with.
func wireID(id arm.ResourceID) string {
	return strings.Replace(id.String(), "/resourceGroups/", "/resourcegroups/", 1)
}

func requestID(r *arm.Request) arm.ResourceID {
	return ClusterID(r.Param("subscriptionID"), r.Param("resourceGroup"), r.Param("resourceName"))
}

// find reads the cluster of the path, nil if there is none.
func (p *Provider) find(ctx context.Context, id arm.ResourceID) (*containerservicev1alpha1.ManagedCluster, error) {
	var cluster containerservicev1alpha1.ManagedCluster
	key := client.ObjectKey{Name: naming.Object(id.String())}
	if p.replay != nil {
		key.Name = p.replay.cluster
	}
	err := p.Client.Get(ctx, key, &cluster)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := p.look(&cluster); err != nil {
		return nil, err
	}
	return &cluster, nil
}

// cluster reads the cluster of the path; without one, the group's absence is
// the better answer.
func (p *Provider) cluster(r *arm.Request) (*containerservicev1alpha1.ManagedCluster, error) {
	cluster, err := p.find(r.Context(), requestID(r))
	if err != nil || cluster != nil {
		return cluster, err
	}
	if _, err := resources.Group(r.Context(), p.Client, r.Param("subscriptionID"), r.Param("resourceGroup")); err != nil {
		return nil, err
	}
	return nil, arm.ResourceNotFound(requestID(r))
}

// pools reads the projections of all pools, by cluster object and pool name.
func (p *Provider) pools(ctx context.Context) (map[string]map[string]*containerservicev1alpha1.AgentPool, error) {
	var list containerservicev1alpha1.AgentPoolList
	if err := p.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil { // they are only read
		return nil, err
	}
	result := map[string]map[string]*containerservicev1alpha1.AgentPool{}
	for i := range list.Items {
		pool := &list.Items[i]
		if result[pool.Spec.ClusterName] == nil {
			result[pool.Spec.ClusterName] = map[string]*containerservicev1alpha1.AgentPool{}
		}
		result[pool.Spec.ClusterName][pool.Spec.Profile.Name] = pool
	}
	return result, nil
}

// poolsOf reads the projections of the pools that one cluster wants, by name.
// Each is asked for by its own name: there may be thousands of others.
func (p *Provider) poolsOf(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster) (map[string]*containerservicev1alpha1.AgentPool, error) {
	result := map[string]*containerservicev1alpha1.AgentPool{}
	for i := range cluster.Spec.AgentPools {
		profile, pool := &cluster.Spec.AgentPools[i], &containerservicev1alpha1.AgentPool{}
		err := p.Client.Get(ctx, client.ObjectKey{Name: naming.AgentPool(profile.Name, profile.Incarnation)}, pool)
		if apierrors.IsNotFound(err) {
			continue // its controller has not seen it yet
		}
		if err != nil {
			return nil, err
		}
		result[profile.Name] = pool
	}
	return result, nil
}
