package agent

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controlplane"
)

// writeVersion tells which API server answers and what it says that it is; one
// that does not answer is what it was. A time that is still to come is of a clock that was set
// back since: it begins anew now.
func writeVersion(status *containerservice.ControlPlaneStatus, seen controlplane.Status, now metav1.Time) {
	status.Server = cmp.Or(seen.Server, status.Server)
	if toCome(status.VersionSince, now) {
		status.VersionSince = &now
	}
	if seen.Version == "" || status.VersionSince != nil && seen.Version == status.Version && seen.EmulatedVersion == status.EmulatedVersion {
		return
	}
	status.Version, status.EmulatedVersion, status.VersionSince = seen.Version, seen.EmulatedVersion, &now
}

// writeHealth tells since when a control plane has been healthy or not. before
// are the components as they were last seen: one with another process has died
// meanwhile, or was replaced, and health begins anew.
func writeHealth(status *containerservice.ControlPlaneStatus, before []containerservice.ComponentStatus, ready bool, now metav1.Time) {
	former := map[string]int32{}
	for _, c := range before {
		former[c.Name] = c.PID
	}
	same := len(before) == len(status.Components)
	for _, c := range status.Components {
		ready = ready && c.PID != 0
		same = same && c.PID == former[c.Name]
	}
	switch {
	case !ready && (status.UnhealthySince == nil || toCome(status.UnhealthySince, now)):
		status.HealthySince, status.UnhealthySince = nil, &now
	case ready && (status.HealthySince == nil || !same || toCome(status.HealthySince, now)):
		status.HealthySince, status.UnhealthySince = &now, nil
	}
}

// toCome says that a time has not been yet.
func toCome(t *metav1.Time, now metav1.Time) bool { return t != nil && t.After(now.Time) }
