package controller_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

// lookRound lets everything look once: the controllers, the host agent, the kubelets and the backups.
func (w *world) lookRound() {
	w.t.Helper()
	for _, l := range w.loops {
		for _, name := range w.names(l.kind) {
			must(w.t, w.reconcile(l, name))
		}
	}
	w.agent()
	w.kubelets()
	w.backups()
}

// truthful asserts that the cluster tells of its control plane what that tells of itself.
func (w *world) truthful() {
	w.t.Helper()
	plane, status := w.plane().Status, w.cluster("demo").Status
	if (status.Upgrade != nil) != (plane.EmulatedVersion != "") || status.Upgrade != nil && status.Upgrade.BinaryVersion != plane.Version {
		w.t.Errorf("the cluster says %+v, the control plane is %s emulating %q", status.Upgrade, plane.Version, plane.EmulatedVersion)
	}
	if served := status.CurrentKubernetesVersion; plane.EmulatedVersion == "" && served != plane.Version ||
		plane.EmulatedVersion != "" && !strings.HasPrefix(served, plane.EmulatedVersion+".") {
		w.t.Errorf("the cluster says that it serves %s, the control plane is %s emulating %q", served, plane.Version, plane.EmulatedVersion)
	}
}

// whole lets time go by until the upgrade has been lifted and the pools have followed.
func (w *world) whole() {
	w.t.Helper()
	for range 3 {
		w.live()
		w.later(soak)
	}
	w.live()
	w.emulates("1.36.3", "")
	w.rolled("1.36.3", 2)
}

// TestAnUpgradeThatIsAbortedInAnyPhaseTellsTheTruthAndTheNextWriteCompletesIt
// aborts after each round of looks, of which it tries every ninth unless all are asked for.
func TestAnUpgradeThatIsAbortedInAnyPhaseTellsTheTruthAndTheNextWriteCompletesIt(t *testing.T) {
	matrix(t)
	step := 9
	if os.Getenv("BERTH_EVERY_PHASE") != "" {
		step = 1
	}
	const lifted = 8 // rounds, after which the soak is let pass and the pools move
	for rounds, ended := 0, false; !ended; rounds += step {
		w := demo(t, 2)
		w.upgrade("demo", "1.36.3", true)
		for range min(rounds, lifted) {
			w.lookRound()
		}
		if rounds > lifted {
			w.later(soak)
		}
		for range max(rounds-lifted, 0) {
			w.lookRound()
		}
		if ended = !w.abort(meta.ScopeCluster); !ended {
			w.live()
			record, _, err := w.history.Get("upgrade")
			must(t, err)
			if state := w.cluster("demo").Status.ProvisioningState; string(state) != string(record.Status) {
				t.Errorf("the operation ended %s, the state is %s", record.Status, state)
			}
			w.truthful()
			w.update("again")
		}
		w.whole()
		if !ended {
			w.ended("again", meta.OperationSucceeded)
		}
		if t.Failed() || rounds > 60 {
			t.Fatalf("aborted after %d rounds", rounds)
		}
	}
}

func TestAClusterIsDeletedInTheMiddleOfItsUpgrade(t *testing.T) {
	for passes := range 3 {
		w := demo(t, 2)
		w.sick = map[bool]string{true: "1.36.3"}[passes%2 == 0] // it may hang
		w.upgrade("demo", "1.36.3", true)
		for range passes {
			w.lookRound()
		}
		w.delete("demo")
		w.live()
		w.ended("upgrade", meta.OperationCanceled)
		if got := len(w.machines()); got != 0 {
			t.Errorf("%d machines are left", got)
		}
	}
}

func TestANodeThatIsLostInTheMiddleOfItsUpgradeIsReplaced(t *testing.T) {
	w := patched(t, 2, containerservicev1.PoolUpgradeSettings{})
	w.roll("roll", newer)
	w.lookRound()
	for _, machine := range w.machines() {
		if machine.Spec.Index == 1 {
			must(t, w.api.Delete(context.Background(), &machine))
		}
	}
	w.live()
	w.ended("roll", meta.OperationSucceeded)
	w.rolled(newer, 2)
}

func TestTheSurgeOfABlockedUpgradeStaysUntilTheNextRequest(t *testing.T) {
	blocked := func(t *testing.T) *world {
		w := patched(t, 2, containerservicev1.PoolUpgradeSettings{DrainTimeoutInMinutes: 5})
		w.pod("web", 0, "ReplicaSet")
		w.protected["web"] = budget
		w.roll("roll", newer)
		w.live()
		w.passes(5 * time.Minute)
		w.live()
		w.ended("roll", meta.OperationFailed)
		w.passes(24 * time.Hour)
		w.live()
		if got := len(w.machines()); got != 3 {
			t.Fatalf("%d machines a day later, want two and the surge", got)
		}
		return w
	}
	t.Run("which goes on with it", func(t *testing.T) {
		w := blocked(t)
		before := map[string]bool{}
		for _, machine := range w.machines() {
			if machine.Spec.KubernetesVersion == newer {
				before[machine.Name] = true
			}
		}
		delete(w.protected, "web")
		w.roll("again", newer)
		w.live()
		w.rolled(newer, 2)
		kept := 0
		for _, machine := range w.machines() {
			if before[machine.Name] {
				kept++
			}
		}
		if kept != len(before) {
			t.Errorf("%d of %d new nodes were kept", kept, len(before))
		}
	})
	t.Run("or takes the upgrade back and the surge away", func(t *testing.T) {
		w := blocked(t)
		w.roll("back", "1.35.4")
		w.live()
		w.ended("back", meta.OperationSucceeded)
		w.rolled("1.35.4", 2)
	})
}

func TestAStopWhileAControlPlaneEmulatesComesBackEmulating(t *testing.T) {
	w := demo(t, 1)
	w.upgrade("demo", "1.36.3", false)
	w.live()
	w.ended("upgrade", meta.OperationSucceeded)
	w.power("stop", meta.VerbStop)
	w.live()
	w.ended("stop", meta.OperationSucceeded)
	w.later(2 * soak)
	w.live()
	if lifted := w.cluster("demo").Spec.Upgrade.Lift; lifted {
		t.Error("it was lifted while it was stopped: nobody saw it healthy")
	}
	w.power("start", meta.VerbStart)
	plane := w.plane()
	since := metav1.NewTime(w.clock.Now())
	plane.Status.HealthySince = &since
	must(t, w.api.Status().Update(context.Background(), plane))
	w.live()
	w.ended("start", meta.OperationSucceeded)
	w.truthful()
	w.later(soak)
	w.live()
	w.emulates("1.36.3", "")
}
