package managedcluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// controlPlane makes the ControlPlane and tells what its host says of it: the
// build of its release, and whether the API server is ready.
type controlPlane struct {
	config Config
}

func (p *controlPlane) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if s.controlPlane == nil && (s.credentials == nil || s.userID == 0) {
		s.report(v1alpha1.ConditionControlPlaneReady, condition.Waiting("waiting for addresses and credentials"))
		return reconcile.Result{}, nil
	}
	if s.controlPlane == nil && s.givesUp() {
		s.report(v1alpha1.ConditionControlPlaneReady, condition.Aborted())
		return reconcile.Result{}, nil
	}
	if s.controlPlane == nil {
		if err := p.create(ctx, s); err != nil {
			return reconcile.Result{}, fmt.Errorf("making the control plane: %w", err)
		}
	}
	digest, key := pki.Digest(s.credentials), ""
	if pki.EncryptionStageOf(s.credentials) == pki.StageSwitched {
		key = pki.EncryptionKeyName(s.credentials) // what another one encrypted is to be rewritten
	}
	if spec := s.controlPlane.Spec; s.credentials != nil && (spec.CredentialsDigest != digest || spec.EncryptionKeyName != key) {
		changed := s.controlPlane.DeepCopy()
		changed.Spec.CredentialsDigest, changed.Spec.EncryptionKeyName = digest, key
		if err := p.config.Client.Update(ctx, changed); err != nil {
			return reconcile.Result{}, fmt.Errorf("telling the control plane of its credentials: %w", err)
		}
		s.controlPlane = changed
	}
	if err := p.authorize(ctx, s); err != nil {
		return reconcile.Result{}, err
	}
	if err := p.handOn(ctx, s); err != nil {
		return reconcile.Result{}, err
	}
	p.report(s)
	return reconcile.Result{}, nil
}

func (p *controlPlane) report(s *scope) {
	plane := s.controlPlane
	const absent = "waiting for the host agent to start the control plane"
	release := condition.Mirror(plane.Status.Conditions, v1alpha1.ConditionReleaseReady, absent)
	ready := condition.Mirror(plane.Status.Conditions, v1alpha1.ConditionReady, absent)
	if plane.Status.ObservedGeneration < plane.Generation || plane.DeletionTimestamp != nil {
		// what the host said was of another version
		ready = condition.Waiting(absent)
		if release.True {
			release = condition.Waiting(absent)
		}
	}
	s.report(v1alpha1.ConditionReleaseReady, release)
	s.report(v1alpha1.ConditionControlPlaneReady, ready)
}

func (p *controlPlane) create(ctx context.Context, s *scope) error {
	spec := s.cluster.Spec
	plane := &v1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.incarnation(), Finalizers: []string{v1alpha1.ControlPlaneFinalizer},
		},
		Spec: v1alpha1.ControlPlaneSpec{
			ClusterName: s.cluster.Name, HostName: naming.LocalHost, Incarnation: s.incarnation(),
			KubernetesVersion: spec.KubernetesVersion,
			Address:           s.apiServer.String(),
			FQDN:              s.fqdn(p.config.Zone),
			Issuer:            naming.Issuer(spec.Location, p.config.Zone, p.config.TenantID, s.incarnation()),
			EtcdPrefix:        naming.EtcdPrefix(s.incarnation()),
			ServiceCIDR:       spec.Network.ServiceCIDR, PodCIDR: spec.Network.PodCIDR,
			AuthorizedIPRanges: authorized(s),
			UserID:             s.userID,
			PowerState:         spec.PowerState,
			CredentialsName:    naming.Credentials(s.incarnation()), CredentialsDigest: pki.Digest(s.credentials),
			Restore: spec.Restore,
		},
	}
	err := p.config.Client.Create(ctx, plane)
	if apierrors.IsAlreadyExists(err) { // the cache has not seen it yet
		err = p.config.Reader.Get(ctx, client.ObjectKeyFromObject(plane), plane)
	}
	if err != nil {
		return err
	}
	s.controlPlane = plane
	return nil
}
