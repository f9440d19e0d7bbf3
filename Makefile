# Berth's make targets. Logic lives in hack/; this page only names it.
SHELL := /bin/bash
GO ?= go
BIN := bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: build ## Start the service, create the cluster "demo" and open a sample application on it.
	@hack/up.sh

.PHONY: down
down: build ## Stop everything that "make up" started and remove it.
	@$(BIN)/berth down --purge

.PHONY: build
build: ## Build berth, its supervisor and its prober into bin/.
	@hack/build.sh $(BIN)

.PHONY: test
test: ## Run every test: unit and service tests, then those on real clusters (needs root).
	@hack/test.sh

.PHONY: unit
unit: ## Run the tests that need neither root nor a cluster, with the race detector.
	@hack/test.sh unit

.PHONY: e2e
e2e: ## Run the tests on real clusters (needs root). RUN=<pattern> selects.
	@hack/test.sh e2e

.PHONY: soak
soak: ## Run the long forms of the fault tests, or go on with them (needs root). SOAK="<parts>" or list, KILLS=<n>, RUN=<pattern>.
	@hack/soak.sh

.PHONY: conformance
conformance: ## Run upstream's [Conformance] specs on a two-node cluster (needs root). VERSIONS, ARGS="-focus <pattern>".
	@hack/conformance.sh

.PHONY: bench
bench: build ## Measure Berth against the raw components and its front end under load; writes bench/results.json.
	@$(GO) run ./bench

.PHONY: generate
generate: ## Regenerate deep copies, CustomResourceDefinitions and docs/compatibility.md.
	@hack/update-generated.sh

.PHONY: verify
verify: ## Fail if generated files or formatting are stale.
	@hack/verify.sh

.PHONY: lint
lint: ## Run the linters of .golangci.yml.
	@hack/lint.sh
