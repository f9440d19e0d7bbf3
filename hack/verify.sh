#!/usr/bin/env bash
# Fails if something generated is stale or something is not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."
before=$(git stash create || true)
hack/update-generated.sh
if ! git diff --exit-code "${before:-HEAD}" -- api docs/compatibility.md; then
  echo "generated files are stale: run make generate and commit" >&2
  exit 1
fi
unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
  printf 'not formatted (gofmt -w):\n%s\n' "$unformatted" >&2
  exit 1
fi
