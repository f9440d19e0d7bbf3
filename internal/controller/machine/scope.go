package machine

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/tenant"
)

// nodeUserPrefix starts the user name of every kubelet.
const nodeUserPrefix = "system:node:"

// scope is what the phases of one Reconcile know and hand on.
type scope struct {
	machine *v1alpha1.Machine
	now     time.Time
	// cluster and pool are nil when they are gone.
	cluster *v1alpha1.ManagedCluster
	pool    *v1alpha1.AgentPool
	// tenant is nil while the cluster is not connected.
	tenant *tenant.Tenant

	// node is set by the phase of this name; nil while it has not registered,
	// nodeKnown tells that from a cache that is not filled.
	node      *corev1.Node
	nodeKnown bool
	// nodeReady is set by the phase node, nil while nothing is known.
	nodeReady *condition.Outcome
	// profile names the labels and taints that the phase node gave the node.
	profile string
	// drained is set by the phase drain; nil for a machine that is not to leave.
	drained *condition.Outcome
	// bootstrapped is set by the phase of this name, from then on for ever;
	// tokenGone once the one-time token is deleted as well.
	bootstrapped bool
	// authority is the one that signed the node's certificates, once that was seen.
	authority string
	tokenGone bool
}

// clusterGoes says that the cluster with all its nodes is on its way out.
func (s *scope) clusterGoes() bool {
	return s.cluster == nil || s.cluster.DeletionTimestamp != nil
}
