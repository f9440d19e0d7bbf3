#!/usr/bin/env bash
# Runs the linters, built from source at the version that the configuration was written for.
set -euo pipefail
cd "$(dirname "$0")/.."
go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.6.0 run ./...
