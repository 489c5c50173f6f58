# The front door. Each target installs what it needs (scripts/deps.sh), builds, and does its work.

SHELL := /bin/bash
# Debian puts nats-server into /usr/sbin, where an ordinary user's PATH does not look.
export PATH := $(PATH):/usr/sbin

# Options for `make up`, e.g. make up ARGS="--nats nats://my-server:4222"
ARGS ?= --demo

.DEFAULT_GOAL := help
.PHONY: help up build test test-unit test-sanitize test-fuzz test-rules test-alerts test-system test-ui test-docs \
        test-newest bench lint docs deps newest-nats fresh clean

help: ## this list
	@echo "cim-ops: the operations system of the Composable Information Machine"
	@echo
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' Makefile | \
	    while IFS='|' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

up: ## the whole local stack with demo traffic; Ctrl-C ends it (ARGS="--nats URL": your server)
	@scripts/deps.sh up
	@scripts/build.sh build cim-ops
	@exec build/cim-ops up $(ARGS)

build: ## the program: build/cim-ops
	@scripts/deps.sh build
	@scripts/build.sh build cim-ops

test: ## everything below, with a summary
	@scripts/deps.sh test
	@scripts/test.sh all

test-unit: ## unit tests
	@scripts/deps.sh test
	@scripts/test.sh unit

test-sanitize: ## unit and system tests under AddressSanitizer, UBSan and ThreadSanitizer
	@scripts/deps.sh test
	@scripts/test.sh sanitize

test-fuzz: ## a short run of every fuzz target
	@scripts/deps.sh test
	@scripts/test.sh fuzz

test-rules: ## the shipped rules: warnings, and what their tests expect
	@scripts/deps.sh test
	@scripts/test.sh rules

test-alerts: ## alert rules and routes, by promtool and amtool
	@scripts/deps.sh test
	@scripts/test.sh alerts

test-system: ## the program against real servers (TESTS="monitor up": only those files)
	@scripts/deps.sh test
	@scripts/test.sh system

test-ui: ## the viewer: its unit tests, and in a real browser (pictures: build/screens)
	@scripts/deps.sh test
	@scripts/test.sh ui

test-docs: ## the documents: their commands work, generated parts are fresh
	@scripts/deps.sh test
	@scripts/test.sh docs

test-newest: newest-nats ## system tests against the newest nats-server release (needs Go)
	@scripts/deps.sh test
	@[[ ! -x .deps/bin/nats-server ]] || scripts/test.sh newest

bench: ## how fast, against what: a table and JSON
	@scripts/deps.sh bench
	@scripts/build.sh build-release cim-ops
	@CIM_OPS=build-release/cim-ops BUILD=build-release bench/run.sh

lint: ## format, static analysis, house rules
	@scripts/deps.sh lint
	@scripts/lint.sh

docs: build ## refresh the generated parts of the documents
	@scripts/gen_docs.sh

deps: ## install everything that any of these targets needs
	@scripts/deps.sh test lint bench

newest-nats: ## build the newest nats-server into .deps/bin (needs Go)
	@scripts/newest_nats.sh

fresh: ## clone HEAD into an empty Debian 12 and run TARGET there (default: build)
	@scripts/deps.sh fresh
	@scripts/fresh_check.sh $(or $(TARGET),build)

clean: ## remove what was built (build*/); installed packages stay
	rm -rf build build-*
