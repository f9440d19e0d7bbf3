package containerservice

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// RunPowerSchedule sees to what a power schedule of a cluster has due. One
// write, under the version of the cluster that the caller judged, holds the
// power state, its operation and that the due time was seen to: it is seen to
// once, whatever dies. Where there is nothing to do the write says that alone.
//
// It fails with an *arm.Error as long as the cluster does not admit it, as it
// would a caller's request: another operation runs, or there is no room.
func (p *Provider) RunPowerSchedule(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster, name string, run containerservicev1alpha1.PowerRun) error {
	if cluster.PowerSchedule(name) == nil {
		return arm.ResourceNotFound(powerScheduleID(cluster, name))
	}
	if err := admitVerb(cluster, meta.ScopeCluster, run.Verb); err != nil {
		return err
	}
	d := &draft{old: cluster, next: cluster.DeepCopy()}
	d.next.Spec.PowerSchedulesDone = run.Due.DeepCopy()
	last := d.next.PowerSchedule(name)
	last.LastRun = &run
	if asWanted(cluster, run.Verb) {
		run.OperationID = ""
		return p.Client.Update(ctx, d.next)
	}
	d.next.Spec.PowerState = meta.PowerStopped
	if run.Verb == meta.VerbStart {
		d.next.Spec.PowerState = meta.PowerRunning
		p.admission.Lock()
		defer p.admission.Unlock()
		known, err := p.readFacts(ctx, cluster.Name)
		if err != nil {
			return err
		}
		if err := p.admitRoom(ctx, cluster, d.next, known, ""); err != nil {
			return err
		}
	}
	r := &arm.Request{
		Request:   (&http.Request{}).WithContext(ctx),
		Principal: arm.Principal{ObjectID: containerservicev1alpha1.PowerScheduleCaller}, CorrelationID: uuid.NewString(),
	}
	run.OperationID = uuid.NewString()
	d.operationID = run.OperationID
	_, err := p.write(ctx, r, d, meta.ScopeCluster, run.Verb)
	return err
}

// asWanted says that a cluster already does, or is on its way to do, what a
// verb would bring about, and nothing keeps it from that.
func asWanted(cluster *containerservicev1alpha1.ManagedCluster, verb meta.Verb) bool {
	if cluster.Aborted(meta.ScopeCluster) {
		return false
	}
	if verb == meta.VerbStop {
		return cluster.Stopped()
	}
	return cluster.Spec.PowerState != meta.PowerStopped
}
