# Thin on purpose: each target is one command that can be typed by hand. `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help run test test-full lint fmt bench sim

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

run: ## build the server and serve http://localhost:3000 (SQLite and files in ./data)
	cargo build --release --locked --bin atlas-collab
	@echo
	@echo 'Data: ./data (ATLAS_DATA_DIR). The first account that registers is the administrator:'
	@echo "  curl -s http://localhost:3000/api/v1/auth/register -H 'content-type: application/json' \\"
	@echo "    -d '{\"email\": \"you@example.org\", \"password\": \"a long sentence of yours\"}'"
	@echo
	@cargo run --release --locked --quiet --bin atlas-collab -- serve

test: ## every test: Rust, then the stories with the published npm clients
	scripts/test

test-full: ## the same with the long runs: more seeds, more cases, more kills
	ATLAS_TEST_FULL=1 PROPTEST_CASES=5000 scripts/test

lint: ## formatting and lints, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## format the code
	cargo fmt --all

bench: ## figures beside a bare relay; prints one table
	cargo build --release --locked --bins
	target/release/atlas-loadtest bench --server target/release/atlas-collab

sim: ## the seeded simulation alone; ATLAS_SEED repeats one run
	cargo nextest run --locked -p atlas-crdt --test sim
