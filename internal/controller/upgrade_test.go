package controller_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
)

const soak = 2 * time.Minute

// runs is what a host says of a control plane that it was told to run.
func (w *world) runs(plane *containerservicev1.ControlPlane) {
	now := metav1.NewTime(w.clock.Now())
	if plane.Spec.KubernetesVersion == w.sick {
		plane.Status.HealthySince, plane.Status.UnhealthySince = nil, &now
		condition.Stamp{Generation: plane.Generation, Time: now.Time}.Set(
			&plane.Status.Conditions, containerservicev1.ConditionReady, condition.Waiting("kube-apiserver died"))
		return
	}
	plane.Status.Version, plane.Status.EmulatedVersion = plane.Spec.KubernetesVersion, plane.Spec.EmulatedVersion
	plane.Status.Server = "kube-apiserver/" + plane.Spec.KubernetesVersion + "/" + plane.Spec.EmulatedVersion
	plane.Status.Components = []containerservicev1.ComponentStatus{{Name: "kube-controller-manager", PID: int32(plane.Generation) + 1}}
	plane.Status.VersionSince, plane.Status.HealthySince, plane.Status.UnhealthySince = &now, &now, nil
}

// upgrade writes what the front end writes for an upgrade to another minor.
func (w *world) upgrade(name, to string, pools bool) {
	w.t.Helper()
	w.upgradeAs("upgrade", name, to, pools)
}

func (w *world) upgradeAs(id, name, to string, pools bool) {
	w.t.Helper()
	c := w.cluster(name)
	c.Spec.Upgrade = &containerservicev1.ControlPlaneUpgrade{
		FromVersion: c.Spec.KubernetesVersion, FromRequestedVersion: c.Spec.RequestedVersion, ToVersion: to,
		ControlPlaneOnly: !pools, Soak: metav1.Duration{Duration: soak},
	}
	if pools {
		c.Spec.Upgrade.FromPools = map[string]string{"nodepool1": c.Spec.AgentPools[0].OrchestratorVersion}
		c.Spec.AgentPools[0].OrchestratorVersion = to
	}
	c.Spec.KubernetesVersion, c.Spec.RequestedVersion = to, to
	c.Spec.Operations = append(c.Spec.Operations, w.running(meta.ScopeCluster, id, meta.VerbUpgrade, c.Generation+1))
	must(w.t, w.api.Update(context.Background(), c))
}

// rollBack writes what the front end writes for a rollback.
func (w *world) rollBack(name string) {
	w.t.Helper()
	c := w.cluster(name)
	c.Spec.RollBack()
	c.Spec.Upgrade = nil
	c.Spec.Operations = append(c.Spec.Operations, w.running(meta.ScopeCluster, "back", meta.VerbRollback, c.Generation+1))
	must(w.t, w.api.Update(context.Background(), c))
}

// later lets time go by.
func (w *world) later(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

func (w *world) plane() *containerservicev1.ControlPlane {
	w.t.Helper()
	plane := &containerservicev1.ControlPlane{}
	must(w.t, w.api.Get(context.Background(), client.ObjectKey{Name: w.cluster("demo").Spec.Incarnation}, plane))
	return plane
}

// emulates asserts what the control plane runs, and that the cluster says so.
func (w *world) emulates(full, emulated string) {
	w.t.Helper()
	spec, status := w.plane().Spec, w.cluster("demo").Status
	if spec.KubernetesVersion != full || spec.EmulatedVersion != emulated {
		w.t.Errorf("the control plane runs %s emulating %q, want %s emulating %q", spec.KubernetesVersion, spec.EmulatedVersion, full, emulated)
	}
	if (status.Upgrade != nil) != (emulated != "") || status.Upgrade != nil && (status.Upgrade.BinaryVersion != full || status.Upgrade.EmulatedVersion != emulated) {
		w.t.Errorf("the cluster says %+v, want binaries %s emulating %q", status.Upgrade, full, emulated)
	}
	if want := full; emulated == "" && status.CurrentKubernetesVersion != want || emulated != "" && !strings.HasPrefix(status.CurrentKubernetesVersion, emulated+".") {
		w.t.Errorf("the cluster serves %s", status.CurrentKubernetesVersion)
	}
}

// poolRuns asserts the version that the pool's controller was told.
func (w *world) poolRuns(version string) {
	w.t.Helper()
	var pools containerservicev1.AgentPoolList
	must(w.t, w.api.List(context.Background(), &pools))
	for _, pool := range pools.Items {
		if pool.Spec.Profile.OrchestratorVersion != version {
			w.t.Errorf("pool %s is told %s, want %s", pool.Name, pool.Spec.Profile.OrchestratorVersion, version)
		}
	}
}

func TestAKillBehindAnyWriteOfAnUpgradeHeals(t *testing.T) { heals(t, upgradeStories()) }

// upgradeStories are told with a kill behind every write, as those of crash_test.go.
func upgradeStories() map[string]story {
	two := func(w *world) { w.put("demo", 2); w.live() }
	return map[string]story{
		"upgrade until the soak": {
			before: two,
			event:  func(w *world) { w.upgrade("demo", "1.36.3", true) },
			check:  func(w *world) { w.emulates("1.36.3", "1.35"); w.poolRuns("1.35.4") },
		},
		"upgrade from the end of the soak": {
			before: func(w *world) { two(w); w.upgrade("demo", "1.36.3", true); w.live() },
			event:  func(w *world) { w.later(soak) },
			check: func(w *world) {
				w.ended("upgrade", meta.OperationSucceeded)
				w.emulates("1.36.3", "")
				w.poolRuns("1.36.3")
			},
		},
		"an upgrade that is taken back by itself": {
			before: func(w *world) { two(w); w.sick = "1.36.3"; w.upgrade("demo", "1.36.3", true); w.live() },
			event:  func(w *world) { w.later(4 * time.Minute) },
			check: func(w *world) {
				w.ended("upgrade", meta.OperationFailed)
				w.emulates("1.35.4", "")
				w.poolRuns("1.35.4")
				w.consistent("demo", 2)
			},
		},
		"roll back by command": {
			before: func(w *world) { two(w); w.upgrade("demo", "1.36.3", false); w.live() },
			event:  func(w *world) { w.rollBack("demo") },
			check: func(w *world) {
				w.ended("back", meta.OperationSucceeded)
				w.emulates("1.35.4", "")
				w.consistent("demo", 2)
			},
		},
	}
}

func TestAnUpgradeOfTheControlPlaneAloneEndsWhileItEmulatesAndIsLiftedAfterTheSoak(t *testing.T) {
	w := demo(t, 1)
	w.upgrade("demo", "1.36.3", false)
	w.live()
	w.ended("upgrade", meta.OperationSucceeded)
	w.emulates("1.36.3", "1.35")
	w.later(soak - time.Second)
	w.live()
	w.emulates("1.36.3", "1.35")
	w.later(time.Second)
	w.live()
	w.emulates("1.36.3", "")
	w.poolRuns("1.35.4")
	w.consistent("demo", 1)
	for _, server := range []string{"kube-apiserver/1.36.3/1.35", "kube-apiserver/1.36.3/"} {
		if !slices.Contains(w.dialed, server) {
			t.Errorf("nobody connected to %s: a watch that goes over to it misses what its nodes ask for; %q", server, w.dialed)
		}
	}
}

func TestAPatchIsUpgradedWithoutEmulationAndBeforeItsPools(t *testing.T) {
	w := demo(t, 1)
	w.sick = "1.35.9" // it has to wait for the control plane
	c := w.cluster("demo")
	c.Spec.KubernetesVersion, c.Spec.AgentPools[0].OrchestratorVersion = "1.35.9", "1.35.9"
	c.Spec.Operations = append(c.Spec.Operations, w.running(meta.ScopeCluster, "patch", meta.VerbUpgrade, c.Generation+1))
	must(t, w.api.Update(context.Background(), c))
	w.live()
	if plane := w.plane(); plane.Spec.KubernetesVersion != "1.35.9" || plane.Spec.EmulatedVersion != "" {
		t.Errorf("the control plane is to run %s emulating %q", plane.Spec.KubernetesVersion, plane.Spec.EmulatedVersion)
	}
	w.poolRuns("1.35.4")
	w.sick = ""
	plane := w.plane()
	w.setTrue(plane, &plane.Status.Conditions, containerservicev1.ConditionReady)
	w.runs(plane)
	must(t, w.api.Status().Update(context.Background(), plane))
	w.live()
	w.poolRuns("1.35.9")
}

func TestAControlPlaneWhoseComponentsKeepDyingIsTakenBack(t *testing.T) {
	w := demo(t, 1)
	w.upgrade("demo", "1.36.3", true)
	w.live()
	for range 8 { // it dies every minute, and is never unhealthy for long
		w.later(time.Minute)
		plane := w.plane()
		now := metav1.NewTime(w.clock.Now())
		if plane.Status.EmulatedVersion != "" {
			plane.Status.HealthySince = &now
		}
		must(t, w.api.Status().Update(context.Background(), plane))
		w.live()
	}
	w.emulates("1.35.4", "")
	w.ended("upgrade", meta.OperationFailed)
	if failure := w.cluster("demo").Status.Failure; failure == nil || failure.Code != "ControlPlaneUpgradeRolledBack" || !strings.Contains(failure.Message, "kept dying") {
		t.Errorf("failure = %+v", failure)
	}
	// The same request again completes once what was wrong is gone.
	w.upgradeAs("again", "demo", "1.36.3", false)
	w.live()
	w.ended("again", meta.OperationSucceeded)
	w.emulates("1.36.3", "1.35")
	if status := w.cluster("demo").Status; status.Failure != nil || status.ProvisioningState != "Succeeded" {
		t.Errorf("failure = %+v, state %s", status.Failure, status.ProvisioningState)
	}
}

func TestAnUpgradeOfAClusterThatWasUnhealthyBeforeHasItsTime(t *testing.T) {
	w := demo(t, 1)
	long := metav1.NewTime(w.clock.Now().Add(-time.Hour))
	w.sick = "1.36.3"
	w.upgrade("demo", "1.36.3", true)
	w.live()
	plane := w.plane()
	plane.Status.UnhealthySince = &long
	must(t, w.api.Status().Update(context.Background(), plane))
	w.live()
	if got := w.plane().Spec.KubernetesVersion; got != "1.36.3" {
		t.Errorf("taken back at once: the control plane is to run %s", got)
	}
}
