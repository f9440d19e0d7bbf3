package controller_test

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/prestarted"
	"berth.dev/berth/internal/pki"
)

// pool makes the controller of pre-started control planes.
func (w *world) pool(c client.Client) *prestarted.Controller {
	return prestarted.NewController(prestarted.Config{
		Client: c, Reader: c, Clock: w.clock, Releases: releases{}, Size: w.prestarted,
		Version: "1.35.4", ServiceCIDR: "10.0.0.0/16", Location: "local", Zone: "berth.internal", TenantID: "11111111-1111-1111-1111-111111111111",
		NewCredentials: func(pki.ClusterNames, time.Time) (map[string][]byte, error) { return credentials() },
	})
}

// ahead gives a fresh service a pool of a size.
func (w *world) ahead(size int) {
	w.prestarted = size
	w.start()
}

// waited lets time pass and everything settle.
func (w *world) waited(passed time.Duration) {
	w.t.Helper()
	w.live()
	w.clock.SetTime(w.clock.Now().Add(passed))
	w.live()
}

// spare is the one control plane that waits for a cluster.
func (w *world) spare() *containerservicev1.ControlPlane {
	w.t.Helper()
	var planes containerservicev1.ControlPlaneList
	must(w.t, w.api.List(context.Background(), &planes, client.HasLabels{containerservicev1.PrestartedLabel}))
	if len(planes.Items) != 1 || !containerservicev1.ConditionTrue(planes.Items[0].Status.Conditions, "Ready") {
		w.t.Fatalf("%d control planes wait, want one that is ready: %s", len(planes.Items), w.counts())
	}
	return &planes.Items[0]
}

// claim takes the one that waits, as the front end does before it writes the cluster.
func (w *world) claim(name string) (incarnation string) {
	w.t.Helper()
	plane := w.spare()
	delete(plane.Labels, containerservicev1.PrestartedLabel)
	plane.Spec.ClusterName, plane.Spec.FQDN, plane.Spec.PodCIDR = name, "demo-"+plane.Name[:8]+".hcp.local.berth.internal", "10.244.0.0/16"
	must(w.t, w.api.Update(context.Background(), plane))
	return plane.Name
}

// putOn writes a cluster with an incarnation.
func (w *world) putOn(name, incarnation string) {
	w.t.Helper()
	cluster := w.fresh(name, 1)
	cluster.Spec.Incarnation = incarnation
	w.create(cluster)
}

// waits is what there is when nothing but one control plane does.
const waits = "clusters=0 planes=1 networks=0 balancers=0 pools=0 machines=0 addresses=1 idranges=1 ports=0 secrets=1"

func prestartedStories() map[string]story {
	empty := func(w *world) {
		w.t.Helper()
		w.waited(2 * time.Minute)
		if got := w.counts(); got != nothing {
			w.t.Fatalf("left over: %s", got)
		}
	}
	waiting := func(w *world) { w.ahead(1); w.waited(time.Minute) }
	return map[string]story{
		"start one ahead": {
			before: func(w *world) { w.ahead(1); w.live(); w.clock.SetTime(w.clock.Now().Add(time.Minute)) },
			event:  func(*world) {},
			check: func(w *world) {
				w.waited(time.Minute)
				w.spare()
				if got := w.counts(); got != waits {
					w.t.Fatalf("got %s, want %s", got, waits)
				}
			},
		},
		"none is wanted any more": {
			before: waiting,
			event:  func(w *world) { w.ahead(0) },
			check:  empty,
		},
		"a create claims one": {
			before: waiting,
			event:  func(w *world) { w.prestarted = 0; w.start(); w.putOn("demo", w.claim("demo")) },
			check: func(w *world) {
				w.consistent("demo", 1)
				w.ended("create-demo", meta.OperationSucceeded)
			},
		},
		"a cluster that claimed one is deleted at once": {
			before: waiting,
			event:  func(w *world) { w.prestarted = 0; w.start(); w.putOn("demo", w.claim("demo")); w.delete("demo") },
			check:  empty,
		},
		"the front end dies after its claim": {
			before: waiting,
			event: func(w *world) {
				w.prestarted = 0
				w.start()
				w.claim("demo")
				w.live()
				w.clock.SetTime(w.clock.Now().Add(2 * time.Minute))
			},
			check: empty,
		},
	}
}

func TestAKillBehindAnyWriteOfThePoolHeals(t *testing.T) { heals(t, prestartedStories()) }

func TestAClaimedControlPlaneIsTheClustersAndAnotherTakesItsPlace(t *testing.T) {
	w := newWorld(t)
	w.ahead(1)
	w.waited(time.Minute)
	before := w.spare()
	w.putOn("demo", w.claim("demo"))
	w.live()
	w.ended("create-demo", meta.OperationSucceeded)
	cluster := w.cluster("demo")
	if cluster.Status.Address != before.Spec.Address || cluster.Status.FQDN != "demo-"+before.Name[:8]+".hcp.local.berth.internal" {
		t.Fatalf("the cluster is at %s, %s, not where its control plane was", cluster.Status.Address, cluster.Status.FQDN)
	}
	w.waited(time.Minute)
	if next := w.spare(); next.Name == before.Name || next.Spec.Address == before.Spec.Address || next.Spec.UserID == before.Spec.UserID {
		t.Fatalf("the next is %s at %s, like the one that was claimed", next.Name, next.Spec.Address)
	}
	w.ahead(0)
	w.delete("demo")
	w.live()
	if got := w.counts(); got != nothing {
		t.Fatalf("left over: %s", got)
	}
}

func TestNothingIsStartedAheadWhileAClusterChanges(t *testing.T) {
	w := newWorld(t)
	w.ahead(1)
	w.hostDown = true // so that the create goes on
	w.put("demo", 1)
	w.waited(time.Minute)
	if n := len(w.names(&containerservicev1.ControlPlaneList{})); n != 1 {
		t.Fatalf("%d control planes, want the cluster's alone", n)
	}
	w.hostDown = false
	w.waited(time.Minute)
	w.waited(time.Minute)
	w.spare()
}

func TestAControlPlaneOfAFormerVersionIsReplaced(t *testing.T) {
	w := newWorld(t)
	w.ahead(1)
	w.waited(time.Minute)
	before := w.spare()
	before.Spec.KubernetesVersion = "1.34.1"
	must(t, w.api.Update(context.Background(), before))
	w.waited(time.Minute)
	w.waited(time.Minute)
	if after := w.spare(); after.Name == before.Name || after.Spec.KubernetesVersion != "1.35.4" {
		t.Fatalf("%s runs %s, want another of 1.35.4", after.Name, after.Spec.KubernetesVersion)
	}
}

// A front end may stand still between its two writes for longer than its claim
// lasts. The cluster must then get a control plane of its own, and all that belongs to it.
func TestAClusterThatComesWhileItsClaimIsTakenAwayGetsAControlPlaneOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.ahead(1)
	w.waited(time.Minute)
	w.ahead(0)
	incarnation := w.claim("demo")
	w.live()
	w.hostDown = true // the host has not let go of what is deleted
	w.waited(2 * time.Minute)
	plane := &containerservicev1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: incarnation}}
	if !w.exists(plane) || plane.DeletionTimestamp == nil {
		t.Fatal("the abandoned claim is not being taken away")
	}
	w.putOn("demo", incarnation)
	w.live()
	w.hostDown = false
	w.live()
	w.consistent("demo", 1)
	if !w.exists(plane) || plane.DeletionTimestamp != nil || len(plane.Finalizers) != 1 {
		t.Fatalf("the cluster's control plane is not its own: %+v", plane.ObjectMeta)
	}
}
