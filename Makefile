# `make demo` and `make test` work on a fresh machine with Python 3.11 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
AGAIN := tests/edge tests/graph tests/writes tests/test_app.py
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header

.PHONY: demo test lint native native-if-it-can-be fuzz bench mutants lock clean

# make demo PORT=9000 BASE_PORT=9100
demo: $(VENV)/.installed
	@$(BIN)/python -m demo.gateway $(if $(PORT),--port $(PORT)) $(if $(BASE_PORT),--base-port $(BASE_PORT))

test: $(VENV)/.installed-dev
	@sh tests/needs.sh
	@$(MAKE) --no-print-directory -j 2 lint native-if-it-can-be
	PLAIT_NATIVE=off $(PYTEST) --cov --cov-report=term
	@if .ci/compiles $(BIN)/python; then \
		$(PYTEST) --native --at-first-sight $(AGAIN) tests/test_native.py && \
		$(PYTEST) --native tests/backend tests/query; \
	else $(PYTEST) --at-first-sight $(AGAIN); fi

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PLAIT_NATIVE=off $(BIN)/plait schema --check
	$(BIN)/mypy
	$(BIN)/pyright

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Plait needs Python 3.11 or later, and this is " + sys.version.split()[0] + ": make demo PYTHON=/path/to/python3.11")'
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) >/dev/null || { rm -rf $(VENV); echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }

$(VENV)/.installed: requirements.lock requirements-build.lock pyproject.toml | $(BIN)/python
	@echo "Installing what Plait needs"
	@.ci/install $(BIN)/python requirements-build.lock
	@.ci/install $(BIN)/python requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "Installing what the tests need"
	@.ci/install $(BIN)/python requirements-dev.lock
	@touch $@

# What runs with every request as machine code: see server/plait/native.py. It takes a C
# compiler and a minute or two, and is not used for sources that have been changed since.
native: $(VENV)/.installed-dev
	@.ci/compiles $(BIN)/python
	@$(BIN)/python -c 'import plait.native as c, sys; sys.exit(c.USE != "yes")' || { \
		echo "Compiling what runs with every request: a minute or two"; \
		PLAIT_MYPYC=1 $(BIN)/python -W ignore setup.py -q build_ext --build-lib build/native; }

native-if-it-can-be: $(VENV)/.installed-dev
	@! .ci/compiles $(BIN)/python || $(MAKE) --no-print-directory native

# How much of what decides things the tests hold: see tests/mutants.py.
mutants: $(VENV)/.installed-dev
	@.ci/install $(BIN)/python requirements-mutants.lock
	$(BIN)/python tests/mutants.py $(MUTANTS)

# Compiled, planned and stock execution against each other: see tests/fuzz.py.
fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m tests.fuzz $(if $(WORLDS),--worlds $(WORLDS),--seconds $(or $(SECONDS),60)) \
		$(if $(SEED),--seed $(SEED))

# The gateway beside a plain Strawberry app, over the same services: see bench/compare.
bench: $(VENV)/.installed-dev native-if-it-can-be
	$(BIN)/python -m bench.compare $(if $(SVG),--svg $(SVG))

# For every Python and platform at once, so that the lock does not depend on who wrote it.
lock: $(VENV)/.installed-dev
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --extra dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) pyproject.toml --extra native -c requirements-dev.lock -o requirements-native.lock
	$(COMPILE) pyproject.toml --extra dev --extra mutants -c requirements-dev.lock -o requirements-mutants.lock
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | $(COMPILE) - -o requirements-build.lock

clean:
	rm -rf $(VENV) build .mutants .mypy_cache .ruff_cache .pytest_cache tests/artefacts
