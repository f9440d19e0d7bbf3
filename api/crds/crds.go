// Package crds holds the CustomResourceDefinitions of the management API,
// generated from the types beside it ("make generate").
package crds

import "embed"

// Files are the definitions, one YAML file each.
//
//go:embed *.yaml
var Files embed.FS
