# Thin: each target says what it runs. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

CARGO := cargo
INTEROP := tests/interop
BROWSER := tests/browser
DEBUG_BIN := target/debug/atlas-collab
RELEASE_BIN := target/release/atlas-collab
WEB := web-client
WEB_SOURCES := $(shell find $(WEB) -type f -not -path '*/node_modules/*' -not -path '$(WEB)/dist/*' 2>/dev/null)
# npm writes this file last.
WEB_DEPENDENCIES := $(WEB)/node_modules/.package-lock.json
WEB_BUILT := $(WEB)/dist/index.html

.PHONY: help docker-proof openapi run web web-deps test test-full lint bench store-figures pod-figures figures pictures fuzz sim tools

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# A build that fails leaves nothing behind that looks like a finished one.
.DELETE_ON_ERROR:

run: web ## build the web client and the server, and serve http://localhost:3000
	@$(CARGO) build --release --bin atlas-collab
	@exec $(RELEASE_BIN) serve

web: $(WEB_BUILT) ## build the web client into web-client/dist, if anything of it changed

$(WEB_BUILT): $(WEB_DEPENDENCIES) $(WEB_SOURCES)
	cd $(WEB) && npm run build

web-deps: $(WEB_DEPENDENCIES) ## install what the web client is built with, if the lockfile changed

$(WEB_DEPENDENCIES): $(WEB)/package.json $(WEB)/package-lock.json
	cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

tools: ## install what the tests need and the machine lacks
	@scripts/tools

test: tools web ## every test: Rust, the web client, published npm clients and real browsers against the real binary
	@scripts/section "Rust tests"
	$(CARGO) nextest run --workspace --lib --bins --tests --examples --no-fail-fast
	@scripts/section "Published yjs and y-websocket against $(DEBUG_BIN)"
	cd $(INTEROP) && npm ci --no-audit --no-fund --loglevel=error
	ATLAS_BIN=$(CURDIR)/$(DEBUG_BIN) node --test --test-concurrency=1 --test-reporter=spec $(INTEROP)/*.test.mjs
	@scripts/section "The web client by itself"
	cd $(WEB) && ATLAS_BIN=$(CURDIR)/$(DEBUG_BIN) npx vitest run
	@scripts/section "People in two browsers against $(DEBUG_BIN)"
	cd $(BROWSER) && npm ci --no-audit --no-fund --loglevel=error
	ATLAS_BIN=$(CURDIR)/$(DEBUG_BIN) node --test --test-concurrency=2 --test-reporter=spec $(BROWSER)/*.test.mjs
	@scripts/section "The Dockerfile, without an engine"
	scripts/dockerfile-proof quick
	@scripts/section "The gate beside yjs, pycrdt and yrs"
	scripts/differential $(or $(DIFF_SECS),12)
	@scripts/section "Fuzzing: what is kept, then $(or $(FUZZ_SECS),20) s of each target"
	scripts/fuzz $(or $(FUZZ_SECS),20)

test-full: ## the long runs as well: more seeds, more kills, more cases
	NEXTEST_PROFILE=full ATLAS_SIM_SEEDS=20000 PROPTEST_CASES=5000 ATLAS_FIFTY_SECS=120 \
		ATLAS_KILLS=1000 ATLAS_STOCK_KILLS=200 ATLAS_POD_KILLS=60 ATLAS_SCHEDULES=100 ATLAS_SETTLE_EDITORS=100 ATLAS_SETTLE_SECS=60 ATLAS_SETTLE_DRAGS=10000 ATLAS_OUTAGE_SECS=60 DIFF_SECS=300 FUZZ_SECS=600 $(MAKE) test
	$(MAKE) docker-proof

docker-proof: ## every step of the Dockerfile without a container engine, and its result run
	scripts/dockerfile-proof

openapi: ## write what the server offers to web-client/openapi.json
	$(CARGO) run --quiet -- openapi > target/openapi.json
	mv target/openapi.json web-client/openapi.json

lint: web-deps ## formatting and lints, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	cd $(WEB) && npm run lint

bench: ## figures, beside a bare relay on the same machine
	$(CARGO) build --release --workspace --bins
	@scripts/bench

store-figures: tools ## figures of the stores: edit to Saved, a long history before and after it is folded
	$(CARGO) build --release --workspace --bins
	@target/release/atlas-loadtest stores --server $(RELEASE_BIN)

pod-figures: tools ## figures of three servers of one design: edit to a peer elsewhere, Redis, CPU
	$(CARGO) build --release --workspace --bins
	@target/release/atlas-loadtest pods --server $(RELEASE_BIN)

figures: web ## figures of the page: first load, frames while panning, offline reload
	$(CARGO) build --release --bin atlas-collab
	[ -d $(BROWSER)/node_modules/playwright-core ] || (cd $(BROWSER) && npm ci --no-audit --no-fund --loglevel=error)
	@ATLAS_BIN=$(CURDIR)/$(RELEASE_BIN) node $(BROWSER)/figures.mjs

pictures: web ## take the pictures of the README anew
	$(CARGO) build --release --bin atlas-collab
	@scripts/pictures

fuzz: tools ## look for bytes that do harm: make fuzz SECS=600 for each target
	@scripts/fuzz $(or $(SECS),60)

sim: ## the seeded simulation: make sim SEEDS=100000 (FROM=1000), SEED=17 for one, or PLAN=target/sim/plan-17.txt
	ATLAS_SIM_SEEDS=$(or $(SEEDS),10000) $(if $(FROM),ATLAS_SIM_FROM=$(FROM)) $(if $(SEED),ATLAS_SIM_SEED=$(SEED)) \
		$(if $(PLAN),ATLAS_SIM_PLAN=$(abspath $(PLAN))) \
		$(CARGO) test --package atlas-crdt --test sim -- --nocapture
