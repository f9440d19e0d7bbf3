package app

import "runtime/debug"

// Version is set when a release is linked (-X).
var Version string //nolint:gochecknoglobals // the linker can set nothing else

// BuildVersion is the version of this build: as linked, else as the toolchain
// recorded it.
func BuildVersion() string {
	if Version != "" {
		return Version
	}
	return recorded(debug.ReadBuildInfo())
}

// recorded is the version in the build's own record: the commit where there is
// no release.
func recorded(build *debug.BuildInfo, ok bool) string {
	if !ok {
		return "unknown"
	}
	settings := map[string]string{}
	for _, setting := range build.Settings {
		settings[setting.Key] = setting.Value
	}
	revision := settings["vcs.revision"]
	if build.Main.Version != "" && build.Main.Version != "(devel)" || revision == "" {
		return build.Main.Version
	}
	if revision = revision[:min(12, len(revision))]; settings["vcs.modified"] == "true" {
		revision += "-dirty"
	}
	return revision
}
