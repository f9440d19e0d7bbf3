package managedcluster

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// ReasonCredentialsLost says that the Secret of a cluster that runs is gone.
const ReasonCredentialsLost = "CredentialsLost"

// credentials makes the cluster's CAs, keys and certificates, once: what was
// encrypted or signed with them cannot be read or verified with others. It
// renews certificates, and leaves CAs and keys to the phase rotation.
type credentials struct {
	config  Config
	renewal renewal
}

func (p *credentials) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if !s.apiServer.IsValid() {
		s.report(v1alpha1.ConditionCredentialsReady, condition.Waiting("waiting for the address of the API server"))
		return reconcile.Result{}, nil
	}
	found := secret(naming.SystemNamespace, naming.Credentials(s.incarnation()))
	err := p.config.Reader.Get(ctx, client.ObjectKeyFromObject(found), found)
	switch {
	case apierrors.IsNotFound(err) && s.controlPlane != nil:
		s.report(v1alpha1.ConditionCredentialsReady, condition.Outcome{
			Reason: ReasonCredentialsLost,
			Message: fmt.Sprintf("Secret %s of the running control plane is gone: restore it, new keys could not read the cluster's data",
				found.Name),
		})
		return reconcile.Result{}, nil
	case apierrors.IsNotFound(err) && s.givesUp():
		s.report(v1alpha1.ConditionCredentialsReady, condition.Aborted())
		return reconcile.Result{}, nil
	case apierrors.IsNotFound(err):
		if found, err = p.create(ctx, s); err != nil {
			return reconcile.Result{}, fmt.Errorf("making the cluster's credentials: %w", err)
		}
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("reading the cluster's credentials: %w", err)
	}
	found, looked, err := p.renewal.keep(ctx, s, found)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("renewing the cluster's certificates: %w", err)
	}
	s.expiry = looked.earliest
	s.secret, s.credentials = found, found.Data
	s.report(v1alpha1.ConditionCredentialsReady, condition.True("CAs, keys and certificates exist"))
	return reconcile.Result{RequeueAfter: max(looked.due.Sub(s.now), time.Second)}, nil
}

// names are those that the cluster's servers go by.
func (s *scope) names(zone string) (pki.ClusterNames, error) {
	services, err := netip.ParsePrefix(s.cluster.Spec.Network.ServiceCIDR)
	if err != nil {
		return pki.ClusterNames{}, fmt.Errorf("reading the service range: %w", err)
	}
	return pki.ClusterNames{FQDN: s.fqdn(zone), Address: s.apiServer, ServiceAddress: services.Masked().Addr().Next()}, nil
}

func (p *credentials) create(ctx context.Context, s *scope) (*corev1.Secret, error) {
	names, err := s.names(p.config.Zone)
	if err != nil {
		return nil, err
	}
	files, err := p.config.NewCredentials(names, s.now)
	if err != nil {
		return nil, err
	}
	made := secret(naming.SystemNamespace, naming.Credentials(s.incarnation()))
	made.Data = files
	return made, p.config.Client.Create(ctx, made)
}
