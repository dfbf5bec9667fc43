# The project's contract with its developers and CI. Each target does all its own set-up, in .venv inside the checkout.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest
SOURCES := src tests bench examples testbed devops scripts

.DEFAULT_GOAL := help
include testbed/testbed.mk
.PHONY: help setup demo e2e test check bench bench-rollback bench-release bench-evidence lock docs format clean

help:  ## Say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(READY)  ## Make the virtual environment (every other target does it by itself)

$(READY): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: Python 3.11 or newer is needed; name it with PYTHON=python3.12"; exit 2; }
	@echo "setup: a virtual environment in $(VENV), some 25 packages (200 MB);"
	@echo "       about half a minute the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## The main job on this machine, under load: good and bad releases, about two minutes
	@$(BIN)/python examples/demo.py

e2e: $(READY)  ## The long evidence on a real cluster, then 50 releases and 50 rollbacks under load; an hour and a half
	$(PYTEST) -m long
	KILLS=50 $(PYTEST) tests/kubernetes/test_kills.py
	@$(BIN)/python examples/e2e.py

test: $(READY)  ## Every suite; of what takes longest its short form
	@$(MAKE) --no-print-directory lint
	@scripts/test

check: $(READY)  ## The inner loop: lint, types, layers, unit and contract tests; under a minute
	@$(MAKE) --no-print-directory lint
	$(PYTEST) -n 2 -m "not local and not soak and not cluster" tests/unit tests/docs tests/pipeline tests/contract tests/kubernetes_transport tests/script tests/kubernetes_adapter

.PHONY: lint
lint: $(READY)  ## ruff, mypy and the layers
	$(BIN)/ruff check --quiet $(SOURCES)
	$(BIN)/ruff format --quiet --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

bench: $(READY)  ## Switch latency and throughput beside Envoy alone; start-up by import
	$(BIN)/python bench/switch.py
	$(BIN)/python bench/startup.py

bench-rollback: $(READY)  ## A rollback beside two kubectl patch, on a real cluster
	@$(BIN)/python bench/rollback.py

bench-release: $(READY)  ## A whole release beside a bash script of the six phases, on a real cluster
	@$(BIN)/python bench/release.py

docs: $(READY)  ## Write docs/reference anew from the program
	@$(BIN)/python -m scripts.reference

bench-evidence: $(READY)  ## How often the window is right, beside other rules; writes docs/benchmarks.md, a minute or two
	@$(BIN)/python bench/evidence.py --write

lock: $(READY)  ## Lock the dependencies again, with hashes
	scripts/lock

format: $(READY)  ## Let ruff have its way
	$(BIN)/ruff check --quiet --fix $(SOURCES)
	$(BIN)/ruff format --quiet $(SOURCES)

clean:  ## Remove what make made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist src/*.egg-info
