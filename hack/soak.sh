#!/usr/bin/env bash
# Runs every fuzz target for a minute (hack/fuzz.sh), then the long forms of the
# fault tests on real clusters; needs root.
#
# KILLS is how many random kills there are (100 unless set), BERTH_E2E_SEED
# repeats a run's, RUN selects tests by pattern.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
  echo "the fault tests need root: sudo make soak" >&2
  exit 1
fi
hack/fuzz.sh
BERTH_EVERY_PHASE=1 go test -count 1 -timeout 60m -run "Phase|Kill|Clock" ./internal/controller
BERTH_E2E_SOAK=1 go test -tags e2e -count 1 -timeout 60m -run Kill ./internal/backup/vault
hack/build.sh bin
for version in 1.34.3 1.35.4 1.36.3; do # the minors that the matrix of upgrades goes through
  bin/berth release build "$version"
done
BERTH_E2E_SOAK=1 BERTH_E2E_KILLS="${KILLS:-100}" \
  go test -tags e2e -count 1 -v -timeout 120m -run "${RUN:-Kill|Reboot|Adopt|Full|Upgrade}" ./test/e2e
