package agentpool

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
)

// interrupted is a reader after whose first answer something happens.
type interrupted struct {
	client.Reader
	happens func()
}

func (r *interrupted) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	defer r.interrupt()
	return r.Reader.Get(ctx, key, object, options...)
}

func (r *interrupted) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	defer r.interrupt()
	return r.Reader.List(ctx, list, options...)
}

func (r *interrupted) interrupt() {
	if r.happens != nil {
		r.happens()
	}
	r.happens = nil
}

func TestAMachineThatGoesWhileItsPoolIsReadIsNotMadeAgain(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, networkv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	profile := v1alpha1.AgentPoolProfile{Name: "work", Incarnation: "abcdefghij", Count: 1}
	cluster := &v1alpha1.ManagedCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "demo"},
		Spec:       v1alpha1.ManagedClusterSpec{Incarnation: "klmnopqrst", AgentPools: []v1alpha1.AgentPoolProfile{profile}},
	}
	pool := &v1alpha1.AgentPool{ObjectMeta: metav1.ObjectMeta{Name: "work-abcdefghij"}, Spec: v1alpha1.AgentPoolSpec{ClusterName: "demo", Profile: profile}}
	nodeName := (&scope{pool: pool}).nodeName(0)
	machine := &v1alpha1.Machine{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName + "-uvwxyzabcd"},
		Spec:       v1alpha1.MachineSpec{ClusterName: "demo", AgentPoolName: pool.Name, Incarnation: "uvwxyzabcd", NodeName: nodeName},
	}
	network := &networkv1.VirtualNetwork{
		ObjectMeta: metav1.ObjectMeta{Name: networkName(cluster)},
		Spec:       networkv1.VirtualNetworkSpec{Ports: []networkv1.Port{{MachineName: machine.Name, Incarnation: machine.Spec.Incarnation}}},
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(cluster, pool, machine, network).Build()
	ends := func() { // as the machine's controller has it: the port first
		network.Spec.Ports = nil
		if err := api.Update(t.Context(), network); err != nil {
			t.Fatal(err)
		}
		if err := api.Delete(t.Context(), machine); err != nil {
			t.Fatal(err)
		}
	}
	s, err := readScope(t.Context(), api, &interrupted{Reader: api, happens: ends}, pool)
	if err != nil {
		t.Fatal(err)
	}
	for _, slot := range s.slots {
		if slot.machine == nil {
			t.Errorf("machine %s is to be made, which is just gone", slot.owner.Name)
		}
	}
}
