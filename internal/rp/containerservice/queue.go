package containerservice

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

// queueHeader asks that an operation on a pool waits for what stands in its way,
// instead of being refused. It is a header because az can send one
// (--aks-custom-headers) and other clients can for any of their calls.
const queueHeader = "Berth-Queue"

// maxQueuedBody is the largest body that is kept.
const maxQueuedBody = 32 << 10

// waitError is a refusal for what another operation stands in the way of, and
// for nothing else.
type waitError struct {
	refusal *arm.Error
	// verb is what the refused request asked for; empty if only its route tells.
	verb meta.Verb
}

// Error implements error.
func (w *waitError) Error() string { return w.refusal.Error() }

// Unwrap is what a caller is told who does not want to wait.
func (w *waitError) Unwrap() error { return w.refusal }

// asking says what was asked for by a request that has to wait.
func asking(err error, verb meta.Verb) error {
	var wait *waitError
	if errors.As(err, &wait) {
		wait.verb = verb
	}
	return err
}

// behind names the queued operation that another one has to wait for.
func behind(queued *meta.QueuedOperation) error {
	return &waitError{refusal: arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
		"Operation is not allowed: Another operation (%s on the agent pool '%s', id %s) has been queued since %s, please wait for it to finish before starting a new operation.",
		queued.Verb, queued.Scope, queued.ID, queued.RequestTime.UTC().Format(time.RFC3339))}
}

// queueable is a handler of a pool whose operation is queued if the caller
// wants that and nothing else speaks against it.
func (p *Provider) queueable(verb meta.Verb, handle arm.Handler) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		asked := r.Header.Get(queueHeader)
		switch {
		case asked != "" && !strings.EqualFold(asked, "true") && !strings.EqualFold(asked, "false"):
			return arm.NewError(http.StatusBadRequest, "InvalidHeaderValue", "The header %s is true or false, not '%.20s'.", queueHeader, asked)
		case !strings.EqualFold(asked, "true"):
			return handle(w, r)
		case r.Header.Get("If-Match") != "":
			return arm.NewError(http.StatusBadRequest, "InvalidHeaderValue",
				"The headers %s and If-Match exclude each other: what is matched now is changed by the operation that this one may have to wait for.", queueHeader)
		}
		err := handle(w, r)
		var wait *waitError
		if !errors.As(err, &wait) {
			return err
		}
		return p.enqueue(w, r, cmp.Or(wait.verb, verb))
	}
}

// enqueue stores the request with the cluster that it is about: one write, after
// which nothing else has to happen.
func (p *Provider) enqueue(w http.ResponseWriter, r *arm.Request, verb meta.Verb) error {
	if len(r.Body) > maxQueuedBody {
		return arm.NewError(http.StatusRequestEntityTooLarge, "RequestTooLarge", "A request that is queued has a body of at most %d bytes.", maxQueuedBody)
	}
	return resources.RetryConflicts(func() error {
		cluster, err := p.cluster(r)
		if err != nil {
			return err
		}
		if len(cluster.Spec.Queue) >= containerservicev1alpha1.MaxQueue {
			return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
				"Operation is not allowed: %d operations on pools of the managed cluster '%s' are queued already, which is the most. Wait for one of them, or abort one.",
				len(cluster.Spec.Queue), cluster.Spec.Name)
		}
		next := cluster.DeepCopy()
		queued := meta.QueuedOperation{
			ID: uuid.NewString(), Scope: lowerName(r), Verb: verb, Method: r.Method, Action: queuedAction(r), APIVersion: r.APIVersion,
			IgnoreDisruptionBudgets: ignoresBudgets(r), Body: string(r.Body),
			RequestTime: metav1.NewTime(p.Now()), Caller: r.Principal.ObjectID, CorrelationID: r.CorrelationID,
		}
		next.Spec.Queue = append(next.Spec.Queue, queued)
		label(next)
		if err := p.Client.Update(r.Context(), next); err != nil || r.Method != http.MethodPut || next.AgentPool(queued.Scope) == nil {
			return p.accepted(w, r, queued.ID, err) // the protocol's older way: there is no pool to show yet
		}
		projections, err := p.pools(r.Context())
		if err != nil {
			return err
		}
		p.async(r, queued.ID, false).Set(w, r)
		return arm.WriteJSON(w, http.StatusOK, p.poolBody(r, next, next.AgentPool(queued.Scope), projections[next.Name][queued.Scope]))
	})
}

// queuedAction is what follows the pool in the path of a request.
func queuedAction(r *arm.Request) string {
	path := strings.TrimRight(r.URL.Path, "/")
	if r.Method != http.MethodPost {
		return ""
	}
	return path[strings.LastIndex(path, "/")+1:]
}
