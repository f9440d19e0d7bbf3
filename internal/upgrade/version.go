// Package upgrade owns the rules of upgrades as pure functions: which version may
// follow which, and what stands in the way of one. It reads nothing itself.
package upgrade

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/version"
)

// maxSkew is how many minors a kubelet may be behind its API server.
const maxSkew = 3

// Minor is the minor of a full version: 1.35 of 1.35.4.
func Minor(full string) string {
	v, err := version.ParseGeneric(full)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d.%d", v.Major(), v.Minor())
}

// Less says that a is older than b.
func Less(a, b string) bool {
	va, errA := version.ParseGeneric(a)
	vb, errB := version.ParseGeneric(b)
	return errA == nil && errB == nil && va.LessThan(vb)
}

// minors is by how many minors b is newer than a.
func minors(a, b string) int {
	va, errA := version.ParseGeneric(a)
	vb, errB := version.ParseGeneric(b)
	if errA != nil || errB != nil {
		return 0
	}
	return int(vb.Minor()) - int(va.Minor())
}

// Next says whether a control plane may go from one version to another: to a
// newer patch, or to the next minor.
func Next(from, to string) bool {
	return Less(from, to) && minors(from, to) <= 1
}

// Skips says that minors lie between two versions.
func Skips(from, to string) bool { return minors(from, to) > 1 }
