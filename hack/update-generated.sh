#!/usr/bin/env bash
# Regenerates deep copies and CustomResourceDefinitions from the types in api/, and
# docs/compatibility.md from the front end's tables.
set -euo pipefail
cd "$(dirname "$0")/.."
go tool controller-gen object paths=./api/...
go tool controller-gen crd paths=./api/... output:crd:dir=api/crds
gofmt -w api
go test ./internal/frontend -run TestTheCompatibilityPageSaysWhatTheTablesSay -update >/dev/null
