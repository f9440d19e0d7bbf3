package network

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	authorizationv1 "berth.dev/berth/api/authorization/v1alpha1"
	hostv1 "berth.dev/berth/api/host/v1alpha1"
	v1alpha1 "berth.dev/berth/api/network/v1alpha1"
)

const inGroup = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/"

// world is a management API in memory, and the controller on it.
type world struct {
	*testing.T
	store client.WithWatch
	// creates counts down to the creation that fails, if it is not 0.
	creates int
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{authorizationv1.AddToScheme, hostv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	host := &hostv1.Host{ObjectMeta: metav1.ObjectMeta{Name: "local"}, Spec: hostv1.HostSpec{PublicRange: "198.18.0.0/27"}}
	w := &world{T: t}
	w.store = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.AddressReservation{}).WithObjects(append(objects, host)...).
		WithInterceptorFuncs(interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if w.creates--; w.creates == 0 {
				return errors.New("killed")
			}
			return c.Create(ctx, o, opts...)
		}}).Build()
	return w
}

func (w *world) reconcile(o v1alpha1.Object) error {
	_, err := NewController(w.store, w.store, clock.RealClock{}).Reconcile(w.Context(), o.GetName(), o)
	return err
}

// reserved reconciles a reservation and returns it as it then is.
func (w *world) reserved(name string) *v1alpha1.AddressReservation {
	w.Helper()
	if err := w.reconcile(&v1alpha1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		w.Fatal(err)
	}
	r := &v1alpha1.AddressReservation{}
	if err := w.store.Get(w.Context(), client.ObjectKey{Name: name}, r); err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) claims() []string {
	w.Helper()
	var list v1alpha1.PublicIPAddressList
	if err := w.store.List(w.Context(), &list); err != nil {
		w.Fatal(err)
	}
	var claims []string
	for _, claim := range list.Items {
		claims = append(claims, claim.Spec.Address)
	}
	return claims
}

func reservation(name string, bits int32, prefix string) *v1alpha1.AddressReservation {
	return &v1alpha1.AddressReservation{
		ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{v1alpha1.ResourceFinalizer}},
		Spec:       v1alpha1.AddressReservationSpec{Resource: v1alpha1.Resource{ResourceID: inGroup + "publicIPAddresses/" + name}, Incarnation: "of-" + name, Bits: bits, PrefixName: prefix},
	}
}

func TestAddressesAndPrefixesAreTakenOnceAndGivenBack(t *testing.T) {
	w := newWorld(t, reservation("one", 32, ""), reservation("row", 30, ""), reservation("first", 32, "row"), reservation("second", 32, "row"))
	for _, c := range []struct{ name, want string }{
		{"one", "198.18.0.16/32"}, {"row", "198.18.0.20/30"}, {"first", "198.18.0.20/32"}, {"second", "198.18.0.21/32"}, {"one", "198.18.0.16/32"},
	} {
		if r := w.reserved(c.name); r.Status.Range != c.want || !apimeta.IsStatusConditionTrue(r.Status.Conditions, "Ready") {
			t.Errorf("%s has %+v, want %s", c.name, r.Status, c.want)
		}
	}
	if claims := w.claims(); len(claims) != 5 {
		t.Errorf("claimed are %v, want one and four", claims)
	}
	for _, name := range []string{"first", "second", "row"} {
		if err := w.store.Delete(t.Context(), reservation(name, 0, "")); err != nil {
			t.Fatal(err)
		}
		if err := w.reconcile(reservation(name, 0, "")); err != nil {
			t.Fatal(err)
		}
	}
	if claims := w.claims(); len(claims) != 1 || claims[0] != "198.18.0.16" {
		t.Errorf("claimed are %v after the prefix was deleted, want the address of one", claims)
	}
}

func TestAPrefixThatWasCutOffIsCompletedWhereItBegan(t *testing.T) {
	for at := 1; at <= 4; at++ {
		w := newWorld(t, reservation("row", 30, ""))
		w.creates = at
		if err := w.reconcile(reservation("row", 30, "")); err == nil {
			t.Fatal("nothing was cut off")
		}
		if r := w.reserved("row"); r.Status.Range != "198.18.0.16/30" || len(w.claims()) != 4 {
			t.Errorf("cut off at claim %d: %s with the claims %v", at, r.Status.Range, w.claims())
		}
	}
}

func TestARangeThatFindsNoRoomSaysSoAndIsTakenOnceThereIs(t *testing.T) {
	taken := &v1alpha1.PublicIPAddress{ObjectMeta: metav1.ObjectMeta{Name: "ip-198-18-0-20"}, Spec: v1alpha1.PublicIPAddressSpec{Address: "198.18.0.20", OwnerName: "other", OwnerIncarnation: "other", Purpose: "outbound"}}
	w := newWorld(t, reservation("row", 29, ""), taken) // of 16 to 31, the last eight end with the range's last address
	r := w.reserved("row")
	ready := apimeta.FindStatusCondition(r.Status.Conditions, "Ready")
	if r.Status.Range != "" || ready == nil || ready.Reason != reasonExhausted || !strings.Contains(ready.Message, "/29") || len(w.claims()) != 1 {
		t.Fatalf("without room: %+v, claimed %v", r.Status, w.claims())
	}
	if err := w.store.Delete(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	if r := w.reserved("row"); r.Status.Range != "198.18.0.16/29" {
		t.Errorf("with room: %+v", r.Status)
	}
}

func TestWhatIsReferredToWaitsWithItsDeletionAndTakesItsRolesAlong(t *testing.T) {
	group := &v1alpha1.NetworkSecurityGroup{
		ObjectMeta: metav1.ObjectMeta{Name: "guard", Finalizers: []string{v1alpha1.ResourceFinalizer}},
		Spec:       v1alpha1.NetworkSecurityGroupSpec{Resource: v1alpha1.Resource{ResourceID: inGroup + "networkSecurityGroups/guard"}},
	}
	network := &v1alpha1.VirtualNetwork{ObjectMeta: metav1.ObjectMeta{Name: "net"}, Spec: v1alpha1.VirtualNetworkSpec{Subnets: []v1alpha1.Subnet{{Name: "a", CIDR: "10.0.0.0/24", NetworkSecurityGroupName: "guard"}}}}
	role := &authorizationv1.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: authorizationv1.RoleAssignmentSpec{Scope: strings.ToUpper(inGroup) + "networkSecurityGroups/guard"}}
	other := &authorizationv1.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: "o"}, Spec: authorizationv1.RoleAssignmentSpec{Scope: inGroup + "networkSecurityGroups/guardian"}}
	w := newWorld(t, group, network, role, other)
	key := client.ObjectKeyFromObject(group)
	if err := w.store.Delete(t.Context(), group); err != nil {
		t.Fatal(err)
	}
	if err := w.reconcile(&v1alpha1.NetworkSecurityGroup{ObjectMeta: metav1.ObjectMeta{Name: "guard"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Get(t.Context(), key, group); err != nil {
		t.Fatalf("it went while a subnet referred to it: %v", err)
	}
	network.Spec.Subnets[0].NetworkSecurityGroupName = ""
	if err := w.store.Update(t.Context(), network); err != nil {
		t.Fatal(err)
	}
	if err := w.reconcile(&v1alpha1.NetworkSecurityGroup{ObjectMeta: metav1.ObjectMeta{Name: "guard"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Get(t.Context(), key, group); !apierrors.IsNotFound(err) {
		t.Errorf("nothing refers to it, and it is there: %v", err)
	}
	if err := w.store.Get(t.Context(), client.ObjectKeyFromObject(role), role); !apierrors.IsNotFound(err) {
		t.Errorf("its role is there: %v", err)
	}
	if err := w.store.Get(t.Context(), client.ObjectKeyFromObject(other), other); err != nil {
		t.Errorf("the role of another is gone: %v", err)
	}
}
