package allocation

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	hostv1 "berth.dev/berth/api/host/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/network"
)

func newClient(t *testing.T, public string) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, hostv1.AddToScheme, networkv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&hostv1.Host{ObjectMeta: metav1.ObjectMeta{Name: "local"}, Spec: hostv1.HostSpec{PublicRange: public}},
		&networkv1.VirtualNetwork{
			ObjectMeta: metav1.ObjectMeta{Name: "vnet"},
			Spec:       networkv1.VirtualNetworkSpec{NodeCIDR: "10.224.0.0/29", PodCIDR: "10.244.0.0/16"},
		},
	).Build()
}

func one() Owner { return Owner{Name: "one", Incarnation: "aaaaaaaaaa"} }
func two() Owner { return Owner{Name: "two", Incarnation: "bbbbbbbbbb"} }

func TestAskingAgainReturnsTheSameAddressAndReleasingFreesIt(t *testing.T) {
	ctx := context.Background()
	c := newClient(t, "198.18.0.0/20")
	a := Allocator{Client: c, Reader: c}
	for range 2 {
		address, err := a.Address(ctx, "local", one(), PurposeAPIServer)
		if err != nil || address.String() != "198.18.0.16" {
			t.Fatal(address, err)
		}
	}
	if address, err := a.Address(ctx, "local", two(), PurposeAPIServer); err != nil || address.String() != "198.18.0.17" {
		t.Fatal(address, err)
	}
	if err := a.ReleaseAddresses(ctx, one()); err != nil {
		t.Fatal(err)
	}
	if address, err := a.Address(ctx, "local", two(), PurposeOutbound); err != nil || address.String() != "198.18.0.16" {
		t.Fatal(address, err)
	}
}

func TestAnAddressThatAnotherTookMeanwhileIsSkipped(t *testing.T) {
	ctx := context.Background()
	c := newClient(t, "198.18.0.0/20")
	behind := interceptor.NewClient(c, interceptor.Funcs{ // reads what was before the other's claim
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return nil },
	})
	if _, err := (Allocator{Client: c, Reader: c}).Address(ctx, "local", one(), PurposeAPIServer); err != nil {
		t.Fatal(err)
	}
	late := Allocator{Client: c, Reader: behind}
	if address, err := late.Address(ctx, "local", two(), PurposeAPIServer); err != nil || address.String() != "198.18.0.17" {
		t.Fatal(address, err)
	}
	if _, err := (Allocator{Client: c, Reader: c}).IDRange(ctx, one()); err != nil {
		t.Fatal(err)
	}
	if start, err := late.IDRange(ctx, two()); err != nil || start != 0x10000000+65536 {
		t.Fatal(start, err)
	}
}

func TestAnExhaustedRangeSaysSo(t *testing.T) {
	ctx := context.Background()
	c := newClient(t, "198.18.0.0/28")
	a := Allocator{Client: c, Reader: c}
	if _, err := a.Address(ctx, "local", one(), PurposeAPIServer); !errors.Is(err, network.ErrExhausted) {
		t.Fatal(err)
	}
	owners := []Owner{one(), two(), {Name: "three", Incarnation: "c"}, {Name: "four", Incarnation: "d"}}
	if _, err := a.EnsurePorts(ctx, "vnet", Place{}, owners); !errors.Is(err, network.ErrExhausted) {
		t.Fatal(err)
	}
	vnet := &networkv1.VirtualNetwork{}
	if err := c.Get(ctx, client.ObjectKey{Name: "vnet"}, vnet); err != nil || len(vnet.Spec.Ports) != 0 {
		t.Fatalf("half of the machines were stored: %+v, %v", vnet.Spec.Ports, err)
	}
}

func TestPortsAreTakenInOneWriteUnderTheResourceVersion(t *testing.T) {
	ctx := context.Background()
	c := newClient(t, "198.18.0.0/20")
	stale := true
	racing := interceptor.NewClient(c, interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if stale { // another pool writes between this one's read and write
				stale = false
				if _, err := (Allocator{Client: c, Reader: c}).EnsurePorts(ctx, "vnet", Place{}, []Owner{two()}); err != nil {
					t.Fatal(err)
				}
			}
			return c.Update(ctx, o, opts...)
		},
	})
	vnet, err := (Allocator{Client: racing, Reader: racing}).EnsurePorts(ctx, "vnet", Place{}, []Owner{one()})
	if err != nil {
		t.Fatal(err)
	}
	first, second := FindPort(vnet, two().Incarnation), FindPort(vnet, one().Incarnation)
	if first == nil || second == nil || first.Address != "10.224.0.4" || second.Address != "10.224.0.5" ||
		first.PodCIDR != "10.244.0.0/24" || second.PodCIDR != "10.244.1.0/24" {
		t.Fatalf("ports: %+v", vnet.Spec.Ports)
	}
}
