package agent

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/bootstrap"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/pki"
)

// volumes is a driver whose machines have files in the volumes of their pods.
type volumes struct {
	machine.Provider
	files []machine.Projected
	err   error
	looks int
}

func (v *volumes) Projected(_ context.Context, id, podsDir string, use func(machine.Projected)) error {
	if id != machineIncarnation || podsDir != bootstrap.PodsDir {
		return errors.New("the look is at another place")
	}
	v.looks++
	for _, file := range v.files {
		use(file)
	}
	return v.err
}

func TestVolumesAreLookedAtOnceTheNewAuthorityIsPublishedUntilAllHoldIt(t *testing.T) {
	secret := credentials(t)
	former := secret.Data[pki.ClusterCACert]
	next, err := pki.TrustNext(secret.Data, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	names := pki.ClusterNames{FQDN: "demo", Address: netip.MustParseAddr("198.18.0.16"), ServiceAddress: netip.MustParseAddr("10.0.0.1")}
	if secret.Data, err = pki.Switch(next, names, time.Now()); err != nil {
		t.Fatal(err)
	}
	both := secret.Data[pki.ClusterCACert]
	signer := pki.AuthorityID(both)
	w := newWorld(t, aMachine(), aCluster(), controlPlane(), secret, identity(), aNetwork())
	until(t, w.networks(), incarnation, settledDown)
	driver := &volumes{Provider: w.deps.Provider, files: []machine.Projected{
		{PodUID: "a", Volume: "old", Content: former}, {PodUID: "a", Volume: "old", Content: former},
		{PodUID: "a", Volume: "new", Content: both}, {PodUID: "b", Volume: "other", Content: []byte("no certificate")},
	}}
	w.deps.Provider = driver
	r := w.machines()
	seen := func() *containerservice.BundleStatus {
		t.Helper()
		until(t, r, machineName, func(result ctrl.Result) bool { return settledDown(result) || result.RequeueAfter == bundlesAgain })
		var object containerservice.Machine
		w.get(t, &object, machineName)
		return object.Status.Bundles
	}
	if got := seen(); got != nil || driver.looks != 0 {
		t.Errorf("before it is published: %+v after %d looks", got, driver.looks)
	}
	var stored corev1.Secret
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(secret), &stored); err != nil {
		t.Fatal(err)
	}
	stored.Annotations = map[string]string{containerservice.AuthorityPublished: signer}
	if err := w.client.Update(t.Context(), &stored); err != nil {
		t.Fatal(err)
	}
	old := []containerservice.BundleBehind{{PodUID: "a", Volume: "old"}}
	if got := seen(); got == nil || got.Authority != signer || !slices.Equal(got.Behind, old) || got.Message != "" {
		t.Errorf("a volume of before: %+v", got)
	}
	driver.files, driver.err = driver.files[2:], errors.New("a volume cannot be read")
	if got := seen(); got == nil || len(got.Behind) != 0 || got.Message != driver.err.Error() {
		t.Errorf("a look that saw less: %+v", got)
	}
	driver.err = nil
	if got := seen(); got == nil || got.Authority != signer || len(got.Behind) != 0 || got.Message != "" {
		t.Errorf("all hold it: %+v", got)
	}
	looks := driver.looks
	if seen(); driver.looks != looks {
		t.Error("what was seen to be well is looked at again")
	}
}
