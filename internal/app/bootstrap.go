package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	authorization "berth.dev/berth/api/authorization/v1alpha1"
	hostapi "berth.dev/berth/api/host/v1alpha1"
	networkapi "berth.dev/berth/api/network/v1alpha1"
	resources "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/cloud"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/host/agent"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
)

// hostInstance is the annotation that says which home's host it is.
const hostInstance = "berth.dev/instance"

// edgeOwner owns the addresses of the edge itself.
const edgeOwner = "edge"

// ensureIdentity reads the install's tenant and first credentials, or mints
// them. They are stored before any object is made of them; the endpoints follow
// the options of this start.
func ensureIdentity(h home.Home, o Options, endpoint string) (cloud.Cloud, error) {
	stored, err := cloud.Load(h.CloudFile())
	if err != nil && !errors.Is(err, cloud.ErrNotLoggedIn) {
		return cloud.Cloud{}, err
	}
	c := stored
	if errors.Is(err, cloud.ErrNotLoggedIn) {
		c = cloud.Cloud{
			TenantID: uuid.NewString(), SubscriptionID: uuid.NewString(), ClientID: uuid.NewString(), ClientSecret: identity.NewSecret(),
		}
	}
	c.ARMEndpoint, c.ActiveDirectoryEndpoint, c.CAFile, c.Location = endpoint, endpoint, h.CAFile(), o.Location
	if c == stored {
		return c, nil
	}
	return c, c.Save(h.CloudFile())
}

// derived is a GUID that follows from another, so that it needs no storing.
func derived(id, purpose string) string {
	return uuid.NewSHA1(uuid.MustParse(id), []byte(purpose)).String()
}

// ensurePrincipal makes the subscription and its owner, who administers the tenant too.
func ensurePrincipal(ctx context.Context, c client.Client, who cloud.Cloud) error {
	objectID := derived(who.ClientID, "object")
	objects := []client.Object{
		&resources.Subscription{
			ObjectMeta: metav1.ObjectMeta{Name: who.SubscriptionID},
			Spec:       resources.SubscriptionSpec{TenantID: who.TenantID, DisplayName: "Berth", State: "Enabled"},
		},
		&authorization.RoleAssignment{
			ObjectMeta: metav1.ObjectMeta{Name: derived(who.ClientID, "owner")},
			Spec: authorization.RoleAssignmentSpec{
				PrincipalID: objectID, RoleDefinitionID: identity.RoleOwner, Scope: "/subscriptions/" + who.SubscriptionID,
			},
		},
		&authorization.RoleAssignment{
			ObjectMeta: metav1.ObjectMeta{Name: derived(who.ClientID, "tenant-administrator")},
			Spec:       authorization.RoleAssignmentSpec{PrincipalID: objectID, RoleDefinitionID: identity.RoleTenantAdministrator, Scope: "/"},
		},
	}
	err := c.Get(ctx, client.ObjectKey{Name: who.ClientID}, &authorization.ServicePrincipal{})
	if apierrors.IsNotFound(err) {
		key, err := identity.SecretKey(ctx, c)
		if err != nil {
			return fmt.Errorf("hashing the first client secret: %w", err)
		}
		objects = append(objects, &authorization.ServicePrincipal{
			ObjectMeta: metav1.ObjectMeta{Name: who.ClientID},
			Spec: authorization.ServicePrincipalSpec{
				TenantID: who.TenantID, ObjectID: objectID, DisplayName: "berth-owner",
				Passwords: []authorization.PasswordCredential{{
					KeyID: derived(who.ClientID, "secret"), Hash: identity.HashSecret(key, who.ClientSecret), DisplayName: "first",
				}},
			},
		})
	} else if err != nil {
		return fmt.Errorf("reading the first service principal: %w", err)
	}
	return ensureObjects(ctx, c, objects...)
}

// ensureObjects creates what is not there.
func ensureObjects(ctx context.Context, c client.Client, objects ...client.Object) error {
	for _, object := range objects {
		if err := c.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating the %s %s: %w", reflect.TypeOf(object).Elem().Name(), object.GetName(), err)
		}
	}
	return nil
}

// ensureHost makes the Host object of this machine and its edge. The public
// range is picked under a lock of the whole machine, which is held until the
// edge is there: until then another install could pick the same.
func ensureHost(ctx context.Context, c client.Client, o Options, instance string, fabric network.Fabric) (network.PublicPlan, error) {
	unlock, err := lockEdges()
	if err != nil {
		return network.PublicPlan{}, err
	}
	defer unlock()
	host, err := storeHost(ctx, c, o, instance)
	if err != nil {
		return network.PublicPlan{}, err
	}
	prefix, err := netip.ParsePrefix(host.Spec.PublicRange)
	if err != nil {
		return network.PublicPlan{}, fmt.Errorf("reading the host's public range: %w", err)
	}
	plan := network.PlanPublicRange(prefix)
	for purpose, address := range map[string]netip.Addr{"host": plan.Host, "front-end": plan.FrontEnd, "dns": plan.DNS} {
		claim := &networkapi.PublicIPAddress{
			ObjectMeta: metav1.ObjectMeta{Name: naming.PublicIPAddress(address)},
			Spec:       networkapi.PublicIPAddressSpec{Address: address.String(), OwnerName: edgeOwner, Purpose: purpose},
		}
		if err := ensureObjects(ctx, c, claim); err != nil {
			return plan, err
		}
	}
	edge, err := agent.Edge(host.Spec)
	if err != nil {
		return plan, err
	}
	if err := fabric.EnsureEdge(ctx, edge); err != nil {
		return plan, fmt.Errorf("making the edge: %w", err)
	}
	return plan, nil
}

// storeHost creates the Host object, or brings the operator's decisions in it
// up to date. The public range stays: clusters have addresses out of it. A host
// belongs to one home, which has what runs on it.
func storeHost(ctx context.Context, c client.Client, o Options, instance string) (*hostapi.Host, error) {
	host := &hostapi.Host{}
	err := c.Get(ctx, client.ObjectKey{Name: naming.LocalHost}, host)
	if err == nil {
		if o.PublicRange != "" && o.PublicRange != host.Spec.PublicRange {
			return nil, fmt.Errorf("--public-range %s: this install has %s, which its clusters have addresses of", o.PublicRange, host.Spec.PublicRange)
		}
		if owner := host.Annotations[hostInstance]; owner != "" && owner != instance {
			return nil, fmt.Errorf("the host of this management API is another home's (instance %s): start this one with --role control or frontend", owner)
		}
		decided := hostSpec(o, host.Spec.PublicRange)
		if host.Annotations[hostInstance] == instance && host.Spec == decided {
			return host, nil
		}
		metav1.SetMetaDataAnnotation(&host.ObjectMeta, hostInstance, instance)
		host.Spec = decided
		if err := c.Update(ctx, host); err != nil {
			return nil, fmt.Errorf("updating the host: %w", err)
		}
		return host, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading the host: %w", err)
	}
	publicRange := o.PublicRange
	if publicRange == "" {
		routes, err := hostRoutes()()
		if err != nil {
			return nil, fmt.Errorf("reading the host's routes: %w", err)
		}
		picked, err := network.PickPublicRange(routes, nil) // the range of another instance is among the routes
		if err != nil {
			return nil, err
		}
		publicRange = picked.String()
	}
	host = &hostapi.Host{
		ObjectMeta: metav1.ObjectMeta{Name: naming.LocalHost, Annotations: map[string]string{hostInstance: instance}},
		Spec:       hostSpec(o, publicRange),
	}
	if err := c.Create(ctx, host); err != nil {
		return nil, fmt.Errorf("creating the host: %w", err)
	}
	return host, nil
}

// lockEdges takes the lock under which installs of one machine pick ranges.
func lockEdges() (unlock func(), err error) {
	file, err := os.OpenFile("/run/lock/berth-edges", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the edges of this host: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("locking the edges of this host: %w", err)
	}
	return func() { file.Close() }, nil
}

// hostSpec is what the operator decides of the host.
func hostSpec(o Options, publicRange string) hostapi.HostSpec {
	return hostapi.HostSpec{
		CPUOvercommit: o.CPUOvercommit, MemoryOvercommit: o.MemoryOvercommit, PublicRange: publicRange, Egress: o.Egress, Announce: o.Announce,
	}
}
