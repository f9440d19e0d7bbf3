package managedcluster

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/pki"
)

// rotationAgain is when a rotation that took a step is looked at again.
const rotationAgain = 10 * time.Millisecond

// usedAgain is when it is looked again who still uses what is to be retired.
const usedAgain = 5 * time.Second

// rotation replaces what a caller wanted to be replaced, a step at a time. How
// far it has come follows from the files in the cluster's Secret: each step is
// one write of it, made once everyone was seen to run with the step before.
// Beside the files the Secret holds which rotation they are of, and since when
// everyone has run with what replaced them.
type rotation struct {
	config Config
}

// rotor is what the replacement of one kind of things consists of.
type rotor struct {
	kind v1alpha1.RotationKind
	verb meta.Verb
	// what is replaced, for the person who waits.
	what  string
	stage func(files map[string][]byte) pki.Stage
	// trustNext, change and retire are the steps.
	trustNext func(files map[string][]byte, now time.Time) (map[string][]byte, error)
	change    func(files map[string][]byte, names pki.ClusterNames, now time.Time) (map[string][]byte, error)
	retire    func(files map[string][]byte) map[string][]byte
	// nodes says that machines run with it, too.
	nodes bool
	// uses says who still uses what is to be retired; "" and nil: nobody.
	uses func(s *scope) string
	// whole says that an operation ends only with the retirement: nobody else has
	// to learn of what replaced the rest.
	whole bool
}

// The annotations of a cluster's Secret: the id of the last rotation of a kind,
// and since when everyone has run with what replaced the rest.
func (r rotor) idAnnotation() string {
	return "rotation.containerservice.berth.dev/" + string(r.kind)
}
func (r rotor) sinceAnnotation() string { return r.idAnnotation() + "-since" }

func rotors() []rotor {
	return []rotor{
		{
			kind: v1alpha1.RotateAuthorities, verb: meta.VerbRotateCertificates, what: "certificate authorities", nodes: true,
			stage: pki.StageOf, trustNext: pki.TrustNext, change: pki.Switch, retire: pki.Retire,
			uses: func(s *scope) string { return s.behind },
		},
		{
			kind: v1alpha1.RotateServiceAccountKeys, verb: meta.VerbRotateServiceAccountKeys, what: "service-account signing key",
			stage: pki.ServiceAccountStageOf,
			trustNext: func(files map[string][]byte, _ time.Time) (map[string][]byte, error) {
				return pki.TrustNextServiceAccountKey(files)
			},
			change: func(files map[string][]byte, _ pki.ClusterNames, _ time.Time) (map[string][]byte, error) {
				return pki.SwitchServiceAccountKey(files), nil
			},
			retire: pki.RetireServiceAccountKeys,
		},
		{
			kind: v1alpha1.RotateEncryptionKeys, verb: meta.VerbRotateEncryptionKey, what: "key of the encryption at rest",
			stage: pki.EncryptionStageOf, uses: (*scope).encryptedOtherwise, whole: true,
			trustNext: func(files map[string][]byte, _ time.Time) (map[string][]byte, error) {
				return pki.TrustNextEncryptionKey(files)
			},
			change: func(files map[string][]byte, _ pki.ClusterNames, _ time.Time) (map[string][]byte, error) {
				return pki.SwitchEncryptionKey(files), nil
			},
			retire: pki.RetireEncryptionKeys,
		},
	}
}

func (p *rotation) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if s.secret == nil {
		return reconcile.Result{}, nil
	}
	if err := p.lookAtBundles(ctx, s); err != nil {
		return reconcile.Result{}, err
	}
	var result reconcile.Result
	for _, r := range rotors() {
		next, again, err := p.step(s, r)
		if err != nil {
			return reconcile.Result{}, fmt.Errorf("rotating the %s: %w", r.what, err)
		}
		if next != nil {
			if err := p.config.Client.Update(ctx, next); err != nil {
				return reconcile.Result{}, fmt.Errorf("storing the %s: %w", r.what, err)
			}
			s.secret, s.credentials = next, next.Data
			again = rotationAgain
		}
		s.rotated[r.verb] = s.rotationOutcome(r)
		result = sooner(result, reconcile.Result{RequeueAfter: again})
	}
	return result, nil
}

// step is the Secret with the next step of a rotation in it, nil if none can be
// taken now; and when it may be.
func (p *rotation) step(s *scope, r rotor) (*corev1.Secret, time.Duration, error) {
	wanted, stage := s.cluster.Spec.RotationOf(r.kind), r.stage(s.credentials)
	if wanted == nil {
		return nil, 0, nil
	}
	next := s.secret.DeepCopy()
	if next.Annotations == nil {
		next.Annotations = map[string]string{}
	}
	mine := next.Annotations[r.idAnnotation()] == wanted.ID
	since, known := s.switchedSince(r)
	holding := s.everywhere(r) == ""
	var err error
	switch {
	case !mine && s.givesUp():
		return nil, 0, nil
	case !mine && stage == pki.StageSettled:
		next.Annotations[r.idAnnotation()] = wanted.ID
		delete(next.Annotations, r.sinceAnnotation())
		next.Data, err = r.trustNext(s.credentials, s.now)
	case !mine && stage == pki.StageTrusting: // an earlier rotation was given up here: this one goes on with it
		next.Annotations[r.idAnnotation()] = wanted.ID
	case stage == pki.StageTrusting && holding && !s.givesUp():
		var names pki.ClusterNames
		if names, err = s.names(p.config.Zone); err == nil {
			next.Data, err = r.change(s.credentials, names, s.now)
		}
	case stage == pki.StageSwitched && holding && !known:
		next.Annotations[r.sinceAnnotation()] = s.now.UTC().Format(time.RFC3339)
	case stage == pki.StageSwitched && holding && s.used(r) != "":
		return nil, usedAgain, nil
	case stage == pki.StageSwitched && holding && !mine: // what an earlier one replaced goes before anything else comes
		next.Data = r.retire(s.credentials)
	case stage == pki.StageSwitched && holding:
		if left := since.Add(wanted.GracePeriod.Duration).Sub(s.now); left > 0 {
			return nil, left, nil
		}
		next.Data = r.retire(s.credentials)
	default:
		return nil, 0, nil
	}
	return next, 0, err
}

// switchedSince is since when everyone has run with what a rotation brought.
func (s *scope) switchedSince(r rotor) (time.Time, bool) {
	since, err := time.Parse(time.RFC3339, s.secret.Annotations[r.sinceAnnotation()])
	return since, err == nil
}

// everywhere says who does not run yet with the credentials as they are stored;
// "" if all do. What is stopped gets them when it starts.
func (s *scope) everywhere(r rotor) string {
	if !s.handedOver() {
		return "the control plane"
	}
	if !r.nodes {
		return ""
	}
	if !s.poolsKnown {
		return "the agent pools to be read"
	}
	for _, pool := range s.pools {
		if pool.DeletionTimestamp == nil && pool.Status.CredentialsDigest != nodeCredentials(s.credentials) {
			return "the nodes of agent pool " + pool.Spec.Profile.Name
		}
	}
	return ""
}

// handedOver says that the control plane runs with the credentials as they are
// stored, and nothing runs with others.
func (s *scope) handedOver() bool {
	plane := s.controlPlane
	return plane != nil && plane.Spec.CredentialsDigest == pki.Digest(s.credentials) &&
		plane.Status.ObservedGeneration >= plane.Generation && v1alpha1.ConditionTrue(plane.Status.Conditions, v1alpha1.ConditionUpToDate)
}

// used says who still uses what a rotation is to retire; "" if nobody does.
func (s *scope) used(r rotor) string {
	if r.uses == nil {
		return ""
	}
	return r.uses(s)
}

// encryptedOtherwise says that values in the datastore are encrypted with a key
// that is to be retired; without it they could never be read again.
func (s *scope) encryptedOtherwise() string {
	plane := s.controlPlane
	if plane != nil && plane.Spec.EncryptionKeyName == pki.EncryptionKeyName(s.credentials) &&
		plane.Status.EncryptionKeyName == plane.Spec.EncryptionKeyName {
		return ""
	}
	if plane != nil {
		if rewriting := apimeta.FindStatusCondition(plane.Status.Conditions, v1alpha1.ConditionReencrypted); rewriting != nil {
			return "what is stored to be encrypted anew: " + rewriting.Message
		}
	}
	return "what is stored to be encrypted anew"
}

// nodeCredentials names those of a cluster's files that its nodes' credentials
// are made of.
func nodeCredentials(files map[string][]byte) string {
	if files == nil {
		return ""
	}
	return pki.NodeDigest(files)
}

// step is how a message begins that tells which step of an operation is taken.
func (r rotor) step(n int) string {
	of := 2
	if r.whole {
		of = 4
	}
	return fmt.Sprintf("step %d of %d: ", n, of)
}

// rotationOutcome says how far a rotation is, for the operation that waits for it.
func (s *scope) rotationOutcome(r rotor) condition.Outcome {
	wanted := s.cluster.Spec.RotationOf(r.kind)
	if wanted == nil {
		return condition.True("nothing is to be replaced")
	}
	stage := r.stage(s.credentials)
	_, known := s.switchedSince(r)
	mine := s.secret.Annotations[r.idAnnotation()] == wanted.ID
	switch waits := s.everywhere(r); {
	case mine && known && (!r.whole || stage == pki.StageSettled && waits == ""):
		return condition.True("in use everywhere: the new " + r.what)
	case mine && known && stage == pki.StageSettled:
		return condition.Waiting(r.step(4) + "forgetting the old " + r.what + "; waiting for " + waits)
	case s.givesUp():
		return condition.Aborted()
	case mine && known:
		return condition.Waiting(r.step(3) + "waiting for " + s.used(r))
	case !mine && stage == pki.StageSwitched:
		return condition.Waiting("before: ending the trust in what the rotation before replaced; waiting for " + waits)
	case stage == pki.StageTrusting:
		return condition.Waiting(r.step(1) + "having the new " + r.what + " trusted beside the old; waiting for " + waits)
	case stage == pki.StageSwitched:
		return condition.Waiting(r.step(2) + "having the new " + r.what + " used, and what the old made replaced; waiting for " + waits)
	default:
		return condition.Waiting("making the new " + r.what)
	}
}

// retired says whether nothing that was replaced is accepted any more.
func (s *scope) retired() (outcome condition.Outcome, at *metav1.Time) {
	outcome = condition.True("nothing that was replaced is accepted")
	for _, r := range rotors() {
		wanted := s.cluster.Spec.RotationOf(r.kind)
		if wanted == nil || r.stage(s.credentials) == pki.StageSettled {
			continue
		}
		since, known := s.switchedSince(r)
		if !known {
			return condition.Waiting("accepted beside the new until all is replaced: the old " + r.what), at
		}
		until := metav1.NewTime(since.Add(wanted.GracePeriod.Duration))
		if r.kind == v1alpha1.RotateAuthorities {
			at = &until
		}
		if users := s.used(r); users != "" {
			outcome = condition.Waiting("accepted beside the new: the old " + r.what + "; waiting for " + users)
			continue
		}
		outcome = condition.Waiting(fmt.Sprintf("accepted beside the new until %s: the old %s", until.UTC().Format(time.RFC3339), r.what))
	}
	return outcome, at
}

// writeCertificates tells when certificates expire and what is still accepted.
func (s *scope) writeCertificates(stamp condition.Stamp) {
	if s.secret == nil {
		return
	}
	retired, at := s.retired()
	stamp.Set(&s.cluster.Status.Conditions, v1alpha1.ConditionPredecessorsRetired, retired)
	s.cluster.Status.Certificates = &v1alpha1.CertificateStatus{
		EarliestExpiry: metav1.NewTime(s.expiry.NotAfter), EarliestName: s.expiry.Name,
		Authority: pki.AuthorityID(s.credentials[pki.ClusterCACert]), RetireTime: at,
	}
}
