package release

import (
	"slices"
	"strings"
)

// NodeImageName is the name of the node image that this Berth builds: the
// distribution, the month of its recipe and a digest of the recipe and of the
// system images that lie in it, so that no two share a name (a test holds it to that).
const NodeImageName = "BerthDebian-202611.f8b350a2"

// Version is a Kubernetes version of the catalog.
type Version struct {
	// Version is the full version without the v, e.g. 1.35.4.
	Version string `json:"version"`
	// Minor is what it is a patch of, e.g. 1.35.
	Minor string `json:"minor"`
	// Default is true for the version that a cluster gets which names none.
	Default bool `json:"default"`
	// Preview is true for a version that is not promised to stay.
	Preview bool `json:"preview"`
}

// Versions is the catalog, oldest first.
func Versions() []Version {
	return []Version{
		{Version: "1.34.1", Minor: "1.34"},
		{Version: "1.34.3", Minor: "1.34"},
		{Version: "1.35.3", Minor: "1.35"},
		{Version: "1.35.4", Minor: "1.35", Default: true},
		{Version: "1.36.2", Minor: "1.36"},
		{Version: "1.36.3", Minor: "1.36"},
	}
}

// Resolve finds the version that a name means: a full version, a minor (its
// newest patch), or nothing (the default). A leading v does not matter.
func Resolve(name string) (Version, bool) {
	name = strings.TrimPrefix(name, "v")
	for _, version := range slices.Backward(Versions()) {
		if name == version.Version || name == version.Minor || name == "" && version.Default {
			return version, true
		}
	}
	return Version{}, false
}
