package app

import "runtime/debug"

// Version is set when a release is linked (-X).
var Version string //nolint:gochecknoglobals // the linker can set nothing else

// version is the version of this build: as linked, else the commit it was built from.
func version() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				return setting.Value[:min(12, len(setting.Value))]
			}
		}
	}
	return "unknown"
}
