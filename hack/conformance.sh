#!/usr/bin/env bash
# Runs upstream's [Conformance] specs on a two-node Berth cluster of each
# version; needs root, and hours. Interrupted, it goes on with the specs that are
# left. VERSIONS names the versions, ARGS goes to the runner.
# usage: hack/conformance.sh
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
  echo "the conformance tests make a cluster and need root: sudo make conformance" >&2
  exit 1
fi
hack/packages.sh gcc libc6-dev mmdebstrap nftables iproute2 e2fsprogs
hack/build.sh bin
mkdir -p bin test/out
go build -o bin/conformance ./test/conformance
failed=0
for version in ${VERSIONS:-1.35.4 1.36.3}; do
  # shellcheck disable=SC2086 # ARGS are several
  bin/conformance -version "$version" ${ARGS:-} || failed=1
done
exit $failed
