# The one entry point. `make` alone lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

TARGET := $(or $(CARGO_TARGET_DIR),target)
# Extra words for the command: make run ARGS="--listen 127.0.0.1:9090", make test ARGS="rate_limit".
ARGS ?=

.PHONY: help setup run release test lint fmt bench drill docs clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Install what tests and bench need (Debian packages, cargo-nextest); fast when all is there
	@scripts/setup

run: ## Build and start a gateway with a demo API; data in ./data
	@command -v cargo >/dev/null || { echo "make run needs Rust: install it with rustup" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "make run needs a C compiler: on Debian, apt-get install build-essential" >&2; exit 1; }
	cargo build --locked --profile quick -p portunus
	@export PORTUNUS_DATA_DIR="$${PORTUNUS_DATA_DIR:-./data}" LOG_FORMAT="$${LOG_FORMAT:-plain}"; \
	exec $(TARGET)/quick/portunus serve --demo $(ARGS)

release: ## Build the binary that is fast to run
	cargo build --locked --release -p portunus
	@ls -lh $(TARGET)/release/portunus

test: ## Everything that guards a change: setup, lint, all tests, generated pages, instructions of a request
	@scripts/step setup scripts/setup
	@scripts/step lint $(MAKE) lint
	@scripts/step tests cargo nextest run --locked --workspace $(ARGS)
	@scripts/step docs env PORTUNUS_BIN=$(TARGET)/debug/portunus scripts/docs --check
	@$(if $(ARGS),,scripts/step bench bench/run --quick)

lint: ## Format, clippy, length of files, shell scripts, links between pages
	@scripts/lint

fmt: ## Format every Rust file
	@scripts/rust-files | xargs -r0 rustfmt --edition 2024

bench: ## Measure side by side with other proxies: table and plots in bench/RESULTS.md
	@scripts/setup bench
	@bench/run $(ARGS)

drill: ## The long tests: kill loops, soaks, large configurations
	cargo build --locked --release -p portunus
	cargo nextest run --locked -p portunus --test drill --profile drill --cargo-profile release $(ARGS)

docs: ## Write the generated pages: docs/reference and docs/contract.md
	@scripts/docs

clean: ## Remove what was built; keeps ./data
	cargo clean
	rm -rf bench/out fuzz/target
