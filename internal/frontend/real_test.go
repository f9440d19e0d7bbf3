package frontend_test

import (
	"context"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/api/crds"
	hostv1alpha1 "berth.dev/berth/api/host/v1alpha1"
	managedidentityv1alpha1 "berth.dev/berth/api/managedidentity/v1alpha1"
	networkv1alpha1 "berth.dev/berth/api/network/v1alpha1"
	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/management"
	"berth.dev/berth/internal/naming"
)

// realManagement names the kubeconfig of a cluster that the tests of this
// package then use as their management API in the place of one in memory. They
// empty it of all that is Berth's before each test, so it is for nothing else,
// and run one after the other: go test -parallel 1. test/e2e does that.
const realManagement = "BERTH_TEST_MANAGEMENT_KUBECONFIG"

// definitions brings the kinds of Berth to the real management API once.
var definitions = sync.OnceValues(func() (*rest.Config, error) { //nolint:gochecknoglobals // once for all tests
	config, err := management.External(os.Getenv(realManagement))
	if err != nil {
		return nil, err
	}
	config.QPS = -1 // no more patience than with the one in memory
	return config, management.ApplySharedDefinitions(context.Background(), config, crds.Files)
})

// inMemory skips a test that goes by what is so only of one front end with a
// management API in memory.
func inMemory(t *testing.T, why string) {
	t.Helper()
	if os.Getenv(realManagement) != "" {
		t.Skip(why)
	}
}

// inTurns is two front ends of which each answers every other request, as
// behind a load balancer: what is written through one is read through the
// other. A change of roles acts there within two seconds, which
// TestARoleGivenAndTakenThroughOneFrontEndActsAtAnotherWithinSeconds holds;
// here it acts at once.
func (r *rig) inTurns(config frontend.Config, change ...func(*frontend.Config)) http.Handler {
	var pair [2]http.Handler
	var tokens [2]*identity.Service
	config.Shared, config.History = true, r.history
	for i := range pair {
		one := config
		pair[i] = r.frontend(&one, change...)
		tokens[i] = one.Tokens
	}
	var turn atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		pair[turn.Add(1)%2].ServeHTTP(w, request)
		if request.Method != http.MethodGet {
			tokens[0].ForgetAccess()
			tokens[1].ForgetAccess()
		}
	})
}

// realStore is a real management API as an install's first start leaves it.
func realStore(t testing.TB) client.WithWatch {
	t.Helper()
	config, err := definitions()
	if err != nil {
		t.Fatal(err)
	}
	store, err := client.NewWithWatch(config, client.Options{Scheme: newScheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	empty(t, store)
	whole := interceptor.NewClient(store, interceptor.Funcs{Create: createWhole, Update: updateWhole})
	for _, o := range seed() {
		if err := whole.Create(t.Context(), o); err != nil {
			t.Fatalf("making %T %s: %v", o, o.GetName(), err)
		}
	}
	return whole
}

// createWhole and updateWhole write an object with its status, as the tests do
// that play a controller or a host: the API in memory takes both at once.
func createWhole(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
	asked := o.DeepCopyObject().(client.Object)
	if err := c.Create(ctx, o, options...); err != nil {
		return err
	}
	return writeStatus(ctx, c, o, asked)
}

func updateWhole(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
	asked := o.DeepCopyObject().(client.Object)
	if err := c.Update(ctx, o, options...); err != nil {
		return err
	}
	return writeStatus(ctx, c, o, asked)
}

// writeStatus writes the status that was asked for, if there is one and a
// controller's or a host's kind has it; the front end writes none of these.
func writeStatus(ctx context.Context, c client.WithWatch, o, asked client.Object) error {
	switch asked.(type) {
	case *hostv1alpha1.Host, *containerservicev1alpha1.Backup, *containerservicev1alpha1.BackupSchedule,
		*containerservicev1alpha1.Machine, *containerservicev1alpha1.ControlPlane:
	default:
		return nil
	}
	asked.SetResourceVersion(o.GetResourceVersion())
	asked.SetUID(o.GetUID())
	if err := c.Status().Update(ctx, asked); err != nil {
		return client.IgnoreNotFound(err) // it was let go of by the write before
	}
	o.SetResourceVersion(asked.GetResourceVersion())
	return nil
}

// empty deletes all that is Berth's, whatever holds it.
func empty(t testing.TB, store client.Client) {
	t.Helper()
	for _, list := range []client.ObjectList{
		&containerservicev1alpha1.ManagedClusterList{}, &containerservicev1alpha1.AgentPoolList{}, &containerservicev1alpha1.MachineList{},
		&containerservicev1alpha1.ControlPlaneList{}, &containerservicev1alpha1.MaintenanceConfigurationList{}, &containerservicev1alpha1.ClusterCommandList{},
		&containerservicev1alpha1.BackupList{}, &containerservicev1alpha1.BackupScheduleList{},
		&resourcesv1alpha1.SubscriptionList{}, &resourcesv1alpha1.ResourceGroupList{}, &resourcesv1alpha1.OperationList{},
		&authorizationv1alpha1.RoleAssignmentList{}, &authorizationv1alpha1.RoleDefinitionList{}, &authorizationv1alpha1.ServicePrincipalList{},
		&managedidentityv1alpha1.UserAssignedIdentityList{}, &hostv1alpha1.HostList{}, &hostv1alpha1.IDRangeList{},
		&networkv1alpha1.AddressReservationList{}, &networkv1alpha1.LoadBalancerList{}, &networkv1alpha1.NetworkSecurityGroupList{}, &networkv1alpha1.PublicIPAddressList{},
		&networkv1alpha1.RouteTableList{}, &networkv1alpha1.VirtualNetworkList{},
		&corev1.SecretList{}, &corev1.ConfigMapList{},
	} {
		var options []client.ListOption
		switch list.(type) {
		case *corev1.SecretList, *corev1.ConfigMapList:
			options = append(options, client.InNamespace(naming.SystemNamespace))
		}
		if err := store.List(t.Context(), list, options...); err != nil {
			t.Fatalf("listing %T: %v", list, err)
		}
		items, err := meta.ExtractList(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			remove(t, store, item.(client.Object))
		}
	}
}

// remove deletes an object and takes away what holds it.
func remove(t testing.TB, store client.Client, o client.Object) {
	t.Helper()
	if o.GetName() == "kube-root-ca.crt" { // the cluster's own, in every namespace
		return
	}
	if err := client.IgnoreNotFound(store.Delete(t.Context(), o)); err != nil {
		t.Fatal(err)
	}
	if len(o.GetFinalizers()) == 0 {
		return
	}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
	if err := client.IgnoreNotFound(store.Patch(t.Context(), o, patch)); err != nil {
		t.Fatal(err)
	}
}
