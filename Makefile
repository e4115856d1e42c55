# Every target makes the environment it needs; all it wants is Python 3.11 or newer (PYTHON=python3.13 picks another).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := .venv-demo

.PHONY: demo test check lint types imports e2e bench bench-peers wheel docs clean

demo: $(DEMO)/.installed  ## real tickets through a real model on this machine: no key, no account
	STRATUM_MODEL=$${STRATUM_MODEL:-local} $(DEMO)/bin/stratum run examples/triage.py:triage --input path=examples/tickets.jsonl
	$(DEMO)/bin/stratum audit

test: $(VENV)/.installed  ## the whole default suite, on all cores
	$(BIN)/python -m pytest -q -n logical --maxprocesses 8

check: lint types imports test  ## what must be green before a commit

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed
	$(BIN)/mypy -p stratum
	$(BIN)/mypy tests/typing
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(VENV)/.installed
	$(BIN)/lint-imports

e2e: $(VENV)/.installed-e2e  ## heavy end-to-end tests: the embedded model, a cluster of processes, kills by the hundred
	$(BIN)/python -m pytest -q -m e2e

bench: $(VENV)/.installed  ## what things cost here (BENCH="call dag --quick": some of it)
	$(BIN)/python -m benchmarks $(BENCH)

bench-peers: $(VENV)/.installed  ## other frameworks and engines, each in an environment of its own, to be measured beside
	$(BIN)/python -m benchmarks.peers

wheel: $(VENV)/.installed  ## build it, install it in an empty environment, and use it there
	$(BIN)/python tests/check_wheel.py

docs: $(VENV)/.installed-docs  ## the documentation as a site, in site/
	PYTHONPATH=src $(BIN)/python -m mkdocs build --strict

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e '.[dev]'
	touch $@

$(VENV)/.installed-e2e: $(VENV)/.installed
	$(BIN)/python -m pip install -q -e '.[dev,local,cluster,docs]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install -q -e '.[dev,docs]'
	touch $@

$(DEMO)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip install -q '.[local]'
	touch $@

clean:
	rm -rf $(VENV) $(DEMO) .bench-peers dist
