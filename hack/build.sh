#!/usr/bin/env bash
# Builds the service, its supervisor and its prober. usage: hack/build.sh DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# != 1 ] || [[ $1 == -* ]]; then
  echo "usage: hack/build.sh DIRECTORY" >&2
  exit 2
fi
version=$(git describe --always --dirty 2>/dev/null || true) # without one the toolchain's own record tells
mkdir -p "$1"
go build -trimpath -ldflags "-X berth.dev/berth/internal/app.Version=$version" -o "$1/berth" ./cmd/berth
# The supervisor stands beside every control plane and every machine: no cgo, no symbols, as small as it gets.
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$1/berth-supervisor" ./cmd/berth-supervisor
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$1/berth-prober" ./cmd/berth-prober
