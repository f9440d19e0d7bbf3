package managedcluster

import (
	"context"
	"fmt"
	"net/netip"

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
// encrypted or signed with them cannot be read or verified with others.
type credentials struct {
	config Config
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
	s.credentials = found.Data
	s.report(v1alpha1.ConditionCredentialsReady, condition.True("CAs, keys and certificates exist"))
	return reconcile.Result{}, nil
}

func (p *credentials) create(ctx context.Context, s *scope) (*corev1.Secret, error) {
	services, err := netip.ParsePrefix(s.cluster.Spec.Network.ServiceCIDR)
	if err != nil {
		return nil, fmt.Errorf("reading the service range: %w", err)
	}
	files, err := p.config.NewCredentials(pki.ClusterNames{
		FQDN: s.fqdn(p.config.Zone), Address: s.apiServer, ServiceAddress: services.Masked().Addr().Next(),
	}, s.now)
	if err != nil {
		return nil, err
	}
	made := secret(naming.SystemNamespace, naming.Credentials(s.incarnation()))
	made.Data = files
	return made, p.config.Client.Create(ctx, made)
}
