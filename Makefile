# The stable targets: setup, demo, test, check, bench, faults. `make` alone lists them all.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Some images set this. Every process of Tocsin, of the tests and of playbooks would then compile all of its source anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 4

# What `tocsin demo` needs, and what development needs on top; each is a stamp, so the second time costs nothing.
RUN := $(VENV)/.stamp-run
DEV := $(VENV)/.stamp-dev
NODE := $(VENV)/.stamp-node

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(RUN): requirements/run.txt pyproject.toml tools/setup-python
	@tools/setup-python run

$(DEV): requirements/dev.txt pyproject.toml tools/setup-python
	@tools/setup-python dev

$(NODE): $(DEV) tests/support/telegram_test_api/package-lock.json tools/setup-node
	@tools/setup-node

.PHONY: system
system:
	@tools/setup-system

.PHONY: setup
setup: $(DEV) $(NODE) system ## Make .venv with tocsin and all that development needs, system packages too where that is allowed

.PHONY: demo
demo: $(RUN) ## Run Tocsin beside a small real system with real faults
	@TOCSIN_DEMO_BY=make exec $(BIN)/tocsin demo $(DEMO_ARGS)

.PHONY: test
test: setup ## Set everything up and run every check
	@$(MAKE) --no-print-directory check

.PHONY: check
check: lint types imports tests ## ruff, mypy --strict, import-linter and the tests

.PHONY: lint
lint: $(DEV) ## ruff: rules and formatting of imports
	$(BIN)/ruff check .

.PHONY: types
types: $(DEV) ## mypy --strict
	$(BIN)/mypy

.PHONY: imports
imports: $(DEV) ## The ladder: imports go down only
	$(BIN)/lint-imports

.PHONY: tests
tests: $(DEV) ## The tests alone; PYTEST_ARGS picks some of them
	$(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)

.PHONY: bench
bench: setup ## Measure Tocsin and Alertmanager on this machine
	$(BIN)/python -m bench $(BENCH_ARGS)

.PHONY: simulate
simulate: $(DEV) ## Five years of a thousand people's nights in virtual time, each page judged; SIMULATE_ARGS="--incidents 5000"
	$(BIN)/python -m bench.simulation $(SIMULATE_ARGS)

.PHONY: faults
faults: setup ## The kill -9 tests, a hundred kills instead of ten
	TOCSIN_COLD=1 TOCSIN_KILLS=$${TOCSIN_KILLS:-100} $(BIN)/python -m pytest -m faults $(PYTEST_ARGS)

.PHONY: lock
lock: $(DEV) ## Resolve the dependencies anew into requirements/; LOCK_ARGS=--upgrade for newer releases
	@tools/lock $(LOCK_ARGS)

.PHONY: schema
schema: $(DEV) ## Draw the tables anew as the SQL an empty database is given; after every migration
	$(BIN)/python -m tocsin.store.drawing

.PHONY: clean
clean: ## Remove the virtual environment and everything built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
	find src tests tools bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
