package containerservice

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

// errNotQueued says that somebody else took an operation out of the queue.
var errNotQueued = errors.New("the operation is no longer queued")

// replay is a queued operation that is seen to.
type replay struct {
	// cluster is the name of the cluster's object.
	cluster string
	queued  meta.QueuedOperation
	// rest is the queue without it, as of the last read of the cluster.
	rest    []meta.QueuedOperation
	started bool
}

// RunQueued asks anew for what was queued, as its caller would: the same checks
// hold, and the write that starts the operation takes it out of the queue.
// started is false if there is nothing to do any more, or if it waits for what
// still stands in its way. It fails with an *arm.Error for what a caller would be
// refused for.
func (p *Provider) RunQueued(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster, queued meta.QueuedOperation) (started, waits bool, err error) {
	handle := map[string]func(*Provider) arm.Handler{
		http.MethodPut:                              func(p *Provider) arm.Handler { return p.putPool },
		http.MethodDelete:                           func(p *Provider) arm.Handler { return p.deletePool },
		http.MethodPost + "deletemachines":          func(p *Provider) arm.Handler { return p.deleteMachines },
		http.MethodPost + "upgradenodeimageversion": func(p *Provider) arm.Handler { return p.upgradeNodeImage },
		http.MethodPost + "rollback":                func(p *Provider) arm.Handler { return p.rollBackPool },
	}[queued.Method+strings.ToLower(queued.Action)]
	if handle == nil {
		return false, false, arm.NewError(http.StatusNotFound, "NotFound", "The queued request %s %s is not known.", queued.Method, queued.Action)
	}
	again := *p
	again.replay = &replay{cluster: cluster.Name, queued: queued}
	err = handle(&again)(discard{}, queuedRequest(ctx, cluster, queued))
	var wait *waitError
	var refused *arm.Error
	switch {
	case errors.As(err, &wait):
		return false, true, nil
	case errors.As(err, &refused) && refused.Code == resources.CodeConflict: // that it lost races is no verdict
		return false, false, errors.New(refused.Message)
	default:
		return again.replay.started, false, err
	}
}

// queuedRequest is the request as it came.
func queuedRequest(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster, queued meta.QueuedOperation) *arm.Request {
	query := url.Values{"ignore-pod-disruption-budget": {strconv.FormatBool(queued.IgnoreDisruptionBudgets)}}
	plain := &http.Request{
		Method: queued.Method, Header: http.Header{}, URL: &url.URL{RawQuery: query.Encode()},
		Body: io.NopCloser(strings.NewReader(queued.Body)), ContentLength: int64(len(queued.Body)),
	}
	return &arm.Request{
		Request: plain.WithContext(ctx), APIVersion: queued.APIVersion, Body: []byte(queued.Body), CorrelationID: queued.CorrelationID,
		Principal: arm.Principal{ObjectID: queued.Caller},
		Params: map[string]string{
			"subscriptionID": cluster.Spec.SubscriptionID, "resourceGroup": cluster.Spec.ResourceGroup,
			"resourceName": cluster.Spec.Name, "agentPoolName": queued.Scope,
		},
	}
}

// look takes the operation that is seen to, and what was queued behind it, out of
// a cluster that was read: they do not stand in its way.
func (p *Provider) look(cluster *containerservicev1alpha1.ManagedCluster) error {
	if p.replay == nil {
		return nil
	}
	queue, id := cluster.Spec.Queue, p.replay.queued.ID
	at := slices.IndexFunc(queue, func(q meta.QueuedOperation) bool { return q.ID == id })
	if at < 0 || queue[at].Abort != nil {
		return errNotQueued
	}
	p.replay.rest = slices.Delete(slices.Clone(queue), at, at+1)
	cluster.Spec.Queue = queue[:at:at]
	return nil
}

// dequeue gives the operation that starts the id that its caller has, and puts
// back what is queued besides it.
func (p *Provider) dequeue(d *draft, running *meta.RunningOperation) {
	if p.replay == nil {
		return
	}
	running.ID, running.RequestTime = p.replay.queued.ID, p.replay.queued.RequestTime.DeepCopy()
	d.next.Spec.Queue = p.replay.rest
}

// dequeued takes note of it that the write of a queued operation succeeded.
func (p *Provider) dequeued(err error) error {
	if p.replay != nil && err == nil {
		p.replay.started = true
	}
	return err
}

// discard is where an answer goes that nobody waits for.
type discard struct{}

// Header implements http.ResponseWriter.
func (discard) Header() http.Header { return http.Header{} }

// Write implements http.ResponseWriter.
func (discard) Write(content []byte) (int, error) { return len(content), nil }

// WriteHeader implements http.ResponseWriter.
func (discard) WriteHeader(int) {}
