# The project's contract with its developers and CI. Each target does all its own set-up, in .venv inside the checkout.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest
SOURCES := src tests bench examples testbed

.DEFAULT_GOAL := help
include testbed/testbed.mk
.PHONY: help setup demo test check bench lock format clean

help:  ## Say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(READY)  ## Make the virtual environment (every other target does it by itself)

$(READY): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: Python 3.11 or newer is needed; name it with PYTHON=python3.12"; exit 2; }
	@echo "setup: a virtual environment in $(VENV), some 25 packages (200 MB), about half a minute the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## The main job on this machine, under load: good and bad releases, about 90 seconds
	@$(BIN)/python examples/demo.py

test: $(READY)  ## Every suite
	@$(MAKE) --no-print-directory lint
	$(PYTEST)

check: $(READY)  ## The inner loop: lint, types, layers, unit and contract tests; under a minute
	@$(MAKE) --no-print-directory lint
	$(PYTEST) -n 2 -m "not local and not soak and not cluster" tests/unit tests/pipeline tests/contract tests/kubernetes_transport

.PHONY: lint
lint: $(READY)  ## ruff, mypy and the layers
	$(BIN)/ruff check --quiet $(SOURCES)
	$(BIN)/ruff format --quiet --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

bench: $(READY)  ## Switch latency and throughput beside Envoy alone; start-up by import
	$(BIN)/python bench/switch.py
	$(BIN)/python bench/startup.py

lock: $(READY)  ## Lock the dependencies again, with hashes
	scripts/lock

format: $(READY)  ## Let ruff have its way
	$(BIN)/ruff check --quiet --fix $(SOURCES)
	$(BIN)/ruff format --quiet $(SOURCES)

clean:  ## Remove what make made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist src/*.egg-info
