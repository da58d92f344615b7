# Two commands do everything on a machine with Python 3.11+, make and a package index: `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
# Threads that wait give their core away, so that other work on the machine does not slow everything (docs/log.md).
export GOMP_SPINCOUNT ?= 1000
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check format bench docs clean

help:            ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "hone needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv (once; some minutes)"
	@$(BIN)/pip install --quiet --constraint constraints.txt torch
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

DESK := examples/support
demo: .venv/.installed   ## Compare every strategy on the example support desk: tickets, dialogues, questions on a handbook
	@$(BIN)/hone compare $(DESK)/tickets.csv --test $(DESK)/tickets_test.csv --budget 3m
	@$(BIN)/hone compare $(DESK)/dialogues.jsonl --test $(DESK)/dialogues_test.jsonl --budget 3m
	@$(BIN)/hone compare $(DESK)/questions.jsonl --test $(DESK)/questions_test.jsonl --documents $(DESK)/handbook --budget 2m

test: .venv/.installed   ## Run all tests, offline, files side by side on as many cores as there are (four at most)
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

check: .venv/.installed  ## Lint, format, types, layer and door rules
	@$(BIN)/ruff check src tests benchmarks recipes
	@$(BIN)/ruff format --check --quiet src tests benchmarks recipes
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/test_architecture.py

format: .venv/.installed ## Format and mend what can be mended
	@$(BIN)/ruff check --fix --quiet src tests benchmarks recipes || true
	@$(BIN)/ruff format --quiet src tests benchmarks recipes

bench: .venv/.installed  ## Measure against the peers (installs them; needs the data sets; over two hours)
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	@$(BIN)/python benchmarks/train.py
	@$(BIN)/python benchmarks/eval.py
	@$(BIN)/python benchmarks/compare.py
	@$(BIN)/python benchmarks/retrieve.py
	@$(BIN)/python benchmarks/estimate.py
	@$(BIN)/python benchmarks/forgetting.py
	@$(BIN)/python benchmarks/frozen.py

docs: .venv/.installed   ## Write the generated pages anew: command reference and JSON Schema
	@$(BIN)/python -m hone.compare.schema
	@$(BIN)/python docs/generate.py

clean:           ## Remove the environment and caches (runs/ stays)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache src/*.egg-info
