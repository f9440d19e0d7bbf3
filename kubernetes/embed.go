// Package kubernetes carries what the releases are built from: for each part a
// pinned module (VERSION.mod with its checksums in VERSION.sum) and, where
// upstream has no main package to build, a main program of one or several files. It holds files and no
// logic; internal/release says what is built from them, and
// hack/update-releases.sh writes the module files.
package kubernetes

import "embed"

// Sources are the files, as PART/FILE.
//
//go:embed */*.mod */*.sum */main.go kubernetes/*.go pause/pause.c
var Sources embed.FS
