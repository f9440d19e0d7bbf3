package upgrade

import (
	"berth.dev/berth/internal/release"
)

// The channels of automatic upgrades.
const (
	ChannelNone   = "none"
	ChannelPatch  = "patch"
	ChannelStable = "stable"
	ChannelRapid  = "rapid"
)

// Channels are the channels that a cluster may be on.
func Channels() []string {
	return []string{ChannelNone, ChannelPatch, ChannelStable, ChannelRapid}
}

// Automatic says that a channel upgrades anything.
func Automatic(channel string) bool { return channel != "" && channel != ChannelNone }

// Target is the version that a channel wants of a cluster that runs another:
// the newest patch of its minor, of the minor before the newest, or of the
// newest. It is never older than what runs.
func Target(channel, from string, catalog []release.Version) string {
	newest := newestOf(catalog, func(release.Version) bool { return true })
	goal := from
	switch channel {
	case ChannelPatch:
		goal = newestOf(catalog, func(v release.Version) bool { return v.Minor == Minor(from) })
	case ChannelStable:
		goal = newestOf(catalog, func(v release.Version) bool { return minors(v.Version, newest) == 1 })
	case ChannelRapid:
		goal = newest
	}
	if Less(from, goal) {
		return goal
	}
	return from
}

// Step is the version to go to next on the way to a target: the target, or the
// newest patch of the next minor. It is the version that runs where the catalog
// leaves no way.
func Step(from, target string, catalog []release.Version) string {
	step := newestOf(catalog, func(v release.Version) bool { return Next(from, v.Version) && !Less(target, v.Version) })
	if Less(from, step) {
		return step
	}
	return from
}

// newestOf is the newest of some versions that are promised to stay, empty without one.
func newestOf(catalog []release.Version, of func(release.Version) bool) (newest string) {
	for _, v := range catalog {
		if !v.Preview && of(v) && (newest == "" || Less(newest, v.Version)) {
			newest = v.Version
		}
	}
	return newest
}
