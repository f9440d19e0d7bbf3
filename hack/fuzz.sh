#!/usr/bin/env bash
# Runs every fuzz target of the wire for FUZZTIME (60s unless set), one at a
# time; FUZZ selects targets by pattern. What it finds is kept as a seed in the
# package's testdata/fuzz, to be committed with the mending. Needs no root.
#
# Inputs are hardly minimized: the coverage of a service with goroutines differs
# from run to run, and the fuzzer would do nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

for package in ./internal/arm ./internal/frontend; do
  for target in $(go test -list '^Fuzz' "$package" | grep -E "^Fuzz.*${FUZZ:-}"); do
    echo "$package $target for ${FUZZTIME:-60s}"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-60s}" -fuzzminimizetime 10x "$package"
  done
done
