#!/usr/bin/env bash
# Runs the long forms of the fault tests, part by part, and says in the end how
# each went and how long it took; needs root.
#
# SOAK selects parts by name, e.g. SOAK="kills guest"; unset, all run that have
# not passed yet with the sources as they are: after an interruption the same
# command goes on. SOAK=list prints the parts. What each printed lies in bin/soak.
#
# KILLS is how many random kills there are (100 unless set), BERTH_E2E_SEED
# repeats a run's, RUN selects tests on clusters by pattern.
set -euo pipefail
cd "$(dirname "$0")/.."

# The parts in their order: name and what it is. Upstream's specs take hours and
# run only where they are named.
parts() {
  cat <<'PARTS'
fuzz      every fuzz target of the wire for a minute each
phases    every write of the controllers' stories is cut off once
vault     backups that are killed at random
guest     a cluster on a Debian guest with cgroup v2
kills     random kills under a writer, and kills at every phase
reboot    clusters after a reboot of the host, and those of the last landed commit
full      full disks under nodes and under etcd
upgrades  upgrades in every mode from minor to minor, killed and stuck
keys      rotations under load, and the ends of certificates
shared    the service's tests on a shared management API
PARTS
}
extra=network # named only

releases() { # the patch and the minors that the matrix of upgrades goes through
  hack/build.sh bin
  for version in "$@"; do
    bin/berth release build "$version" --install-packages
  done
}
clusters() { # the tests whose names match and, with a second pattern, do not match that
  BERTH_E2E_SOAK=1 BERTH_E2E_KILLS="${KILLS:-100}" \
    go test -tags e2e -count 1 -v -timeout 120m -run "$1" -skip "${2:-^$}" ./test/e2e
}

run() {
  case $1 in
    fuzz) hack/fuzz.sh ;;
    phases) BERTH_EVERY_PHASE=1 go test -count 1 -timeout 60m -run "Phase|Kill|Clock" ./internal/controller ;;
    vault) BERTH_E2E_SOAK=1 go test -tags e2e -count 1 -timeout 60m -run Kill ./internal/backup/vault ;;
    guest) hack/guest.sh ;;
    kills) releases 1.35.3 1.35.4 1.36.3; clusters "${RUN:-Kill}" ;;
    reboot) releases 1.35.4; clusters "${RUN:-Reboot|Adopt}" ;;
    full) releases 1.35.4; clusters "${RUN:-Full}" Upgrade ;;
    upgrades) releases 1.34.3 1.35.3 1.35.4 1.36.3; clusters "${RUN:-Upgrade}" Kill ;;
    keys) releases 1.35.4; clusters "${RUN:-Rotation|Keys}" ;;
    shared) releases 1.35.4; clusters "${RUN:-SharedManagement}" ;;
    network) VERSIONS=1.35.4 ARGS="-suite network" hack/conformance.sh ;;
  esac
}

if [ "${SOAK:-}" = list ]; then
  parts
  echo "$extra   upstream's specs of sig-network, hours; only where it is named"
  exit 0
fi
if [ "$(id -u)" != 0 ]; then
  echo "the fault tests need root: sudo make soak" >&2
  exit 1
fi
mapfile -t all < <(parts | awk '{print $1}')
if [ -n "${SOAK:-}" ]; then
  read -ra chosen <<<"$SOAK"
else
  chosen=("${all[@]}")
fi
for part in "${chosen[@]}"; do
  if [[ " ${all[*]} $extra " != *" $part "* ]]; then
    echo "there is no part $part; the parts are: ${all[*]} $extra" >&2
    exit 2
  fi
done

# What passed is remembered for these sources, so that a change begins anew.
sources=$({
  git rev-parse HEAD
  git diff HEAD
  git ls-files --others --exclude-standard | xargs -r -d '\n' sha256sum
} | sha256sum | cut -c1-12)
mkdir -p bin/soak
summary=()
failed=0
for part in "${chosen[@]}"; do
  passed=bin/soak/$part.$sources.passed
  if [ -z "${SOAK:-}" ] && [ -e "$passed" ]; then
    summary+=("$(cat "$passed") (before)")
    continue
  fi
  begun=$(date +%s)
  printf '[%s] %s begins\n' "$(date -u +%H:%M:%S)" "$part" >&2
  outcome=passed
  # A shell of its own: errexit does not hold in a function whose outcome is asked for.
  if ! bash -euo pipefail -c "$(declare -f releases clusters run); run $part" 2>&1 | tee "bin/soak/$part.log"; then
    outcome=FAILED
    failed=1
  fi
  line=$(printf '%s  %-9s %-6s %5d s, load %s' "$(date -u +%FT%H:%M:%SZ)" "$part" "$outcome" "$(($(date +%s) - begun))" "$(cut -d' ' -f1 /proc/loadavg)")
  summary+=("$line")
  if [ $outcome = passed ]; then
    echo "$line" >"$passed"
  fi
done
printf '%s\n' "${summary[@]}" | tee bin/soak/summary
exit $failed
