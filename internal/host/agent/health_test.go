package agent

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controlplane"
)

func TestHealthBeginsAnewWheneverAComponentIsAnotherProcess(t *testing.T) {
	status := &containerservice.ControlPlaneStatus{}
	at := func(minute int) metav1.Time {
		return metav1.NewTime(time.Date(2026, 11, 21, 8, minute, 0, 0, time.UTC))
	}
	look := func(minute int, ready bool, pids ...int32) {
		before := status.Components
		status.Components = nil
		for i, pid := range pids {
			status.Components = append(status.Components, containerservice.ComponentStatus{Name: string(rune('a' + i)), PID: pid})
		}
		writeHealth(status, before, ready, at(minute))
	}
	expect := func(what string, healthy, unhealthy int) {
		t.Helper()
		is := func(got *metav1.Time, want int) bool {
			return got == nil && want < 0 || got != nil && want >= 0 && got.Time.Equal(at(want).Time)
		}
		if !is(status.HealthySince, healthy) || !is(status.UnhealthySince, unhealthy) {
			t.Errorf("%s: healthy since %v, unhealthy since %v", what, status.HealthySince, status.UnhealthySince)
		}
	}
	look(0, false, 1, 0)
	expect("while it starts", -1, 0)
	look(1, true, 1, 0)
	expect("while a component is missing", -1, 0)
	look(2, true, 1, 2)
	expect("all run", 2, -1)
	look(3, true, 1, 2)
	expect("nothing happened", 2, -1)
	look(4, true, 1, 3)
	expect("one died and was started again", 4, -1)
	look(5, false, 1, 3)
	expect("the API server does not answer", -1, 5)
	look(6, true, 1, 3)
	expect("it answers again", 6, -1)
	look(1, true, 1, 3)
	expect("the clock was set back", 1, -1)
	look(2, false, 1, 3)
	look(0, false, 1, 3)
	expect("the clock was set back while it did not answer", -1, 0)
}

func TestAServerThatDoesNotAnswerIsTheOneThatAnsweredLast(t *testing.T) {
	status := &containerservice.ControlPlaneStatus{}
	for _, seen := range []struct{ server, want string }{
		{"", ""}, {"kube-apiserver/7", "kube-apiserver/7"}, {"", "kube-apiserver/7"}, {"kube-apiserver-1442/9", "kube-apiserver-1442/9"},
	} {
		writeVersion(status, controlplane.Status{Server: seen.server}, metav1.Now())
		if status.Server != seen.want {
			t.Errorf("seen %q: the status says %q, want %q", seen.server, status.Server, seen.want)
		}
	}
}

func TestTheTimeOfAVersionIsWhenItWasFirstSeen(t *testing.T) {
	status := &containerservice.ControlPlaneStatus{}
	now := metav1.NewTime(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC))
	later := metav1.NewTime(now.Add(time.Minute))
	writeVersion(status, controlplane.Status{Version: "1.36.3", EmulatedVersion: "1.35"}, now)
	writeVersion(status, controlplane.Status{Version: "1.36.3", EmulatedVersion: "1.35"}, later)
	writeVersion(status, controlplane.Status{}, later) // it does not answer
	if status.Version != "1.36.3" || status.EmulatedVersion != "1.35" || !status.VersionSince.Equal(&now) {
		t.Errorf("status = %+v", status)
	}
	writeVersion(status, controlplane.Status{Version: "1.36.3"}, later)
	if status.EmulatedVersion != "" || !status.VersionSince.Equal(&later) {
		t.Errorf("after the lift: %+v", status)
	}
	writeVersion(status, controlplane.Status{Version: "1.36.3"}, now) // the clock was set back
	if status.Version != "1.36.3" || !status.VersionSince.Equal(&now) {
		t.Errorf("after the clock was set back: %+v", status)
	}
}
