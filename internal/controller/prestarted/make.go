package prestarted

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// unbound is a control plane that is nothing yet but a name.
func (c *Controller) unbound(incarnation string) *v1alpha1.ControlPlane {
	return &v1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{
			Name: incarnation, Finalizers: []string{v1alpha1.PrestartedFinalizer},
			Labels: map[string]string{v1alpha1.PrestartedLabel: ""},
		},
		Spec: v1alpha1.ControlPlaneSpec{
			Incarnation: incarnation, KubernetesVersion: c.config.Version, ServiceCIDR: c.config.ServiceCIDR,
			FQDN:            incarnation + "." + c.domain(),
			Issuer:          naming.Issuer(c.config.Location, c.config.Zone, c.config.TenantID, incarnation),
			EtcdPrefix:      naming.EtcdPrefix(incarnation),
			CredentialsName: naming.Credentials(incarnation),
		},
	}
}

func (c *Controller) domain() string {
	return naming.APIServerDomain(c.config.Location, c.config.Zone)
}

// current says whether a control plane is still one that a cluster would claim:
// of the default version and range, its certificates far from their renewal. One
// that has no credentials yet gets fresh ones.
func (c *Controller) current(ctx context.Context, plane *v1alpha1.ControlPlane) (bool, error) {
	wanted := c.unbound(plane.Spec.Incarnation).Spec
	if plane.Spec.KubernetesVersion != wanted.KubernetesVersion || plane.Spec.ServiceCIDR != wanted.ServiceCIDR || plane.Spec.Issuer != wanted.Issuer {
		return false, nil
	}
	credentials := credentialsOf(plane)
	err := c.config.Reader.Get(ctx, client.ObjectKeyFromObject(credentials), credentials) // a cache may not have them yet
	if apierrors.IsNotFound(err) {                                                        // a bound one is of no use without them
		return plane.Spec.HostName == "", nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the credentials of control plane %s: %w", plane.Name, err)
	}
	expiries, err := pki.Expiries(credentials.Data)
	if err != nil {
		return false, fmt.Errorf("reading the credentials of control plane %s: %w", plane.Name, err)
	}
	for _, expiry := range expiries {
		if !c.config.Clock.Now().Before(expiry.RenewAt) {
			return false, nil
		}
	}
	return true, nil
}

// bind claims what a control plane needs, under its name, and gives it to the host.
// Each claim that is there already is found again.
func (c *Controller) bind(ctx context.Context, plane *v1alpha1.ControlPlane) error {
	userID, err := c.allocator.IDRange(ctx, owner(plane))
	if err != nil {
		return err
	}
	address, err := c.allocator.Address(ctx, naming.LocalHost, owner(plane), allocation.PurposeAPIServer)
	if err != nil {
		return err
	}
	credentials, err := c.credentials(ctx, plane, address)
	if err != nil {
		return err
	}
	controllerutil.AddFinalizer(plane, v1alpha1.ControlPlaneFinalizer)
	plane.Spec.UserID, plane.Spec.Address, plane.Spec.CredentialsDigest = userID, address.String(), pki.Digest(credentials)
	plane.Spec.HostName = naming.LocalHost
	if err := c.config.Client.Update(ctx, plane); err != nil {
		return fmt.Errorf("giving control plane %s to its host: %w", plane.Name, err)
	}
	return nil
}

// credentials are the authorities, keys and certificates of a control plane, made
// now unless they are there. Its servers' certificates name every host of the
// domain: what its cluster will be called is not known. Nobody but those who have
// the credentials of that cluster trusts the authority that signed them, and
// their renewal names that one host.
func (c *Controller) credentials(ctx context.Context, plane *v1alpha1.ControlPlane, address netip.Addr) (map[string][]byte, error) {
	found := credentialsOf(plane)
	err := c.config.Reader.Get(ctx, client.ObjectKeyFromObject(found), found)
	if err == nil {
		return found.Data, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading the credentials of control plane %s: %w", plane.Name, err)
	}
	services, err := netip.ParsePrefix(plane.Spec.ServiceCIDR)
	if err != nil {
		return nil, fmt.Errorf("reading the service range: %w", err)
	}
	made := credentialsOf(plane)
	made.Data, err = c.config.NewCredentials(pki.ClusterNames{
		FQDN: "*." + c.domain(), Address: address, ServiceAddress: services.Masked().Addr().Next(),
	}, c.now())
	if err != nil {
		return nil, fmt.Errorf("making the credentials of control plane %s: %w", plane.Name, err)
	}
	if err := c.config.Client.Create(ctx, made); err != nil {
		return nil, fmt.Errorf("storing the credentials of control plane %s: %w", plane.Name, err)
	}
	return made.Data, nil
}

func (c *Controller) now() time.Time { return c.config.Clock.Now() }

// owner is a control plane as the holder of claims: the incarnation is what a
// cluster that takes it over has as well.
func owner(plane *v1alpha1.ControlPlane) allocation.Owner {
	return allocation.Owner{Name: plane.Name, Incarnation: plane.Spec.Incarnation}
}

func credentialsOf(plane *v1alpha1.ControlPlane) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: naming.SystemNamespace, Name: naming.Credentials(plane.Spec.Incarnation)}}
}
