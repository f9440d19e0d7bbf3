package managedcluster

import (
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// ReasonAllocationFailed says that the host has no address or range left.
const ReasonAllocationFailed = "AllocationFailed"

// scope is what the phases of one Reconcile know and hand on.
type scope struct {
	// cluster is what was read; its status is written at the end.
	cluster *v1alpha1.ManagedCluster
	now     time.Time

	// apiServer, outbound and userID are set by the phase addresses; outbound is
	// empty and userID 0 before.
	apiServer netip.Addr
	outbound  []string
	userID    int64
	// credentials are set by the phase of this name, by file name; nil before.
	credentials map[string][]byte
	// secret is what they were read from; nil before.
	secret *corev1.Secret
	// expiry is the first end of a certificate in it.
	expiry pki.Expiry
	// tenant reads the cluster's API server; nil while nobody is connected.
	tenant client.Reader
	// behind says whose bundles lack the authorities that sign (see lookAtBundles).
	behind string
	// rotated is set by the phase rotation: how far what a verb asks for is.
	rotated map[meta.Verb]condition.Outcome
	// nodeGroupTaken is why the node resource group is not the cluster's; empty if it is.
	nodeGroupTaken string
	// network is set by addresses if it exists, and by network; nil before.
	network *networkv1.VirtualNetwork
	// controlPlane is set by addresses if it exists, and by controlPlane; nil before.
	controlPlane *v1alpha1.ControlPlane
	// pools are set by agentPools: every projection of the cluster, also of
	// pools that are no longer wanted. poolsKnown tells none from not asked.
	pools      []*v1alpha1.AgentPool
	poolsKnown bool

	// backup is set by upgradeBackup: whether the one before the upgrade is there, or
	// none is needed; backedUp is since when it is, backupFailure why it never will be.
	backup        condition.Outcome
	backedUp      time.Time
	backupFailure *meta.Failure

	// unsafe is what a phase has to bring to an end before an operation can give up.
	unsafe string

	outcomes map[string]condition.Outcome
}

func newScope(cluster *v1alpha1.ManagedCluster, now time.Time) *scope {
	return &scope{cluster: cluster, now: now, outcomes: map[string]condition.Outcome{}, rotated: map[meta.Verb]condition.Outcome{}}
}

// report says how a condition stands.
func (s *scope) report(conditionType string, outcome condition.Outcome) {
	s.outcomes[conditionType] = outcome
}

// incarnation names everything that is external to the cluster.
func (s *scope) incarnation() string { return s.cluster.Spec.Incarnation }

// networkName is the name of the cluster's virtual network.
func (s *scope) networkName() string { return networkName(s.cluster) }

func networkName(cluster *v1alpha1.ManagedCluster) string {
	return naming.VirtualNetwork(cluster.Spec.Network.VirtualNetworkID, cluster.Spec.Incarnation)
}

// owner is the cluster as the holder of claims.
func (s *scope) owner() allocation.Owner { return ownerOf(s.cluster) }

func ownerOf(cluster *v1alpha1.ManagedCluster) allocation.Owner {
	return allocation.Owner{Name: cluster.Name, Incarnation: cluster.Spec.Incarnation}
}

// fqdn is the name of the API server: the one that was chosen at birth, or one
// in the zone.
func (s *scope) fqdn(zone string) string {
	switch {
	case s.controlPlane != nil:
		return s.controlPlane.Spec.FQDN
	case s.cluster.Status.FQDN != "":
		return s.cluster.Status.FQDN
	default:
		return naming.APIServer(s.cluster.Spec.DNSPrefix, s.incarnation(), naming.APIServerDomain(s.cluster.Spec.Location, zone))
	}
}

// pool is the projection of a pool's incarnation, nil if there is none.
func (s *scope) pool(incarnation string) *v1alpha1.AgentPool {
	for _, pool := range s.pools {
		if pool.Spec.Profile.Incarnation == incarnation {
			return pool
		}
	}
	return nil
}
