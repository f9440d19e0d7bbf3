#!/usr/bin/env bash
# Runs the tests. usage: hack/test.sh [unit|e2e], both without an argument.
#
# unit: everything that needs neither root nor a cluster.
# e2e:  drivers and whole clusters on this machine; needs root. RUN selects tests by pattern.
#       Each run works in a home of its own, so it can run beside "make up".
set -euo pipefail
cd "$(dirname "$0")/.."

unit() {
  go vet ./...
  # The race detector makes the stories of internal/controller six times as long:
  # their matrices of faults run without it.
  go test -race -short -timeout 20m ./...
  go test -timeout 10m ./internal/controller
}

e2e() {
  if [ "$(id -u)" != 0 ]; then
    echo "the tests on real clusters need root: sudo make e2e" >&2
    exit 1
  fi
  # The C compiler is the race detector's, az is driven by test/az; the rest is what an install uses.
  hack/packages.sh gcc libc6-dev mmdebstrap nftables iproute2 e2fsprogs xfsprogs azure-cli
  hack/build.sh bin
  # The default release, the patch before it, and the minor that the stories upgrade to.
  bin/berth release build --install-packages
  bin/berth release build 1.35.3 --install-packages
  bin/berth release build 1.36.3 --install-packages
  # Every package that has such a test, those of whole clusters last.
  mapfile -t packages < <(grep -rl --include='*_test.go' '^//go:build e2e' . | xargs -n1 dirname | sort -u | grep -v '^./test/e2e$')
  # One package after the other: they measure, and they share two cores with what they start.
  go test -race -tags e2e -count 1 -p 1 -timeout 40m ${RUN:+-run "$RUN"} "${packages[@]}" ./test/e2e
}

case "${1:-all}" in
  unit) unit ;;
  e2e) e2e ;;
  all)
    unit # with "&&" after it bash would go on when any but its last command fails
    e2e
    ;;
  *) echo "usage: hack/test.sh [unit|e2e]" >&2; exit 2 ;;
esac
