package containerservice

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/operation"
	"berth.dev/berth/internal/rp/resources"
)

// write stores the desired state together with the operation that asked for
// it: one object write, after which nothing else has to happen.
func (p *Provider) write(ctx context.Context, r *arm.Request, d *draft, scope string, verb meta.Verb) (string, error) {
	now := metav1.NewTime(p.Now())
	running := meta.RunningOperation{
		Scope: scope, ID: firstOf(d.operationID, uuid.NewString()), Verb: verb, Generation: 1, StartTime: now,
		Deadline: metav1.NewTime(now.Add(timeout(d, verb))), Caller: r.Principal.ObjectID, CorrelationID: r.CorrelationID,
		IgnoreDisruptionBudgets: d.ignoreBudgets,
	}
	if d.old != nil {
		// The write changes the spec, so it raises the generation by one; under
		// the resource version it cannot have been raised by others meanwhile.
		running.Generation = d.old.Generation + 1
	}
	p.dequeue(d, &running)
	d.next.Spec.Operations = append(d.next.Spec.Operations, running)
	goOn(&d.next.Spec, scope)
	if d.old == nil {
		d.next.Spec.Incarnation = p.incarnation(ctx, d.next)
	}
	mint(d.next, d.old == nil)
	label(d.next)
	renewETags(d.next, scope)
	if err := p.claimPlace(ctx, d); err != nil {
		return "", err
	}
	if d.old == nil {
		return running.ID, p.Client.Create(ctx, d.next)
	}
	return running.ID, p.dequeued(p.Client.Update(ctx, d.next))
}

// timeout is how long an operation may take: an upgrade soaks, and drains node after node.
func timeout(d *draft, verb meta.Verb) time.Duration {
	switch verb {
	case meta.VerbUpgrade, meta.VerbUpgradeNodeImage, meta.VerbRollback:
	case meta.VerbScale, meta.VerbDeleteMachines, meta.VerbUpdate, meta.VerbDelete:
		return operation.Timeout + longestDrain(d)
	default:
		return operation.Timeout
	}
	limit := upgradeTimeout
	if u := d.next.Spec.Upgrade; u.Revocable() && !u.ControlPlaneOnly {
		limit += 2 * u.Soak.Duration
	}
	return limit
}

// goOn takes away that an operation of the scope was aborted: what is written
// now goes on from where that one gave up. One on the cluster goes on with all pools.
func goOn(spec *containerservicev1alpha1.ManagedClusterSpec, scope string) {
	spec.Aborted = slices.DeleteFunc(spec.Aborted, func(a meta.AbortedOperation) bool {
		return scope == meta.ScopeCluster || a.Scope == scope
	})
}

// mint gives what is new its random names, that of the cluster having been chosen
// already. They are in the same write as the rest, before anything is made under them.
func mint(cluster *containerservicev1alpha1.ManagedCluster, fresh bool) {
	if fresh {
		mintNetwork(&cluster.Spec)
		cluster.Spec.PowerSchedules, cluster.Spec.PowerSchedulesDone = nil, nil // a copy is not to stop with its model
		cluster.Spec.Queue = nil
		cluster.Spec.IdentityPrincipalID, cluster.Spec.FormerPrincipals = "", nil
	}
	if cluster.Spec.IdentityType == systemAssigned && cluster.Spec.IdentityPrincipalID == "" {
		cluster.Spec.IdentityPrincipalID = uuid.NewString()
	}
	for i := range cluster.Spec.AgentPools {
		if cluster.Spec.AgentPools[i].Incarnation == "" {
			cluster.Spec.AgentPools[i].Incarnation = naming.Incarnation()
		}
	}
}

// label sets the labels that lists and polls select by; those of operations
// that have ended go.
func label(cluster *containerservicev1alpha1.ManagedCluster) {
	prefix := operation.Label("")
	labels := map[string]string{
		resources.SubscriptionLabel: cluster.Spec.SubscriptionID,
		GroupLabel:                  groupObject(cluster.Spec.SubscriptionID, cluster.Spec.ResourceGroup),
	}
	for name, value := range cluster.Labels {
		if _, own := labels[name]; !own && !strings.HasPrefix(name, prefix) {
			labels[name] = value
		}
	}
	told := func(id string, abort *meta.AbortRequest) {
		labels[operation.Label(id)] = ""
		if abort != nil {
			labels[operation.Label(abort.ID)] = ""
		}
	}
	for _, running := range cluster.Spec.Operations {
		told(running.ID, running.Abort)
	}
	for _, queued := range cluster.Spec.Queue {
		told(queued.ID, queued.Abort)
	}
	cluster.Labels = labels
}

func groupObject(subscriptionID, group string) string {
	return naming.Object(resources.GroupID(subscriptionID, group).String())
}

// async are the poll URLs of an operation. result says whether there is one
// for the result too.
func (p *Provider) async(r *arm.Request, id string, result bool) arm.Async {
	base := "/subscriptions/" + r.Param("subscriptionID") + "/providers/" + Namespace + "/locations/" + p.Location
	query := "/" + id + "?api-version=" + operationVersion
	async := arm.Async{Operation: base + "/operations" + query}
	if result {
		async.Result = base + "/operationresults" + query
	}
	return async
}
