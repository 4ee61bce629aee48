# Each target sets itself up: Python 3.11 or newer and make are all that is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all lint types contracts bench soak chaos clean

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "stdops needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group dev -e .
	@touch $(STAMP)

venv: $(STAMP)  ## make .venv with everything

demo: $(STAMP)  ## a release that fails once, with its Web UI (ONCE=1 mends it by itself and ends)
	$(BIN)/stdops demo $(if $(ONCE),--once)

lint: $(STAMP)  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

test: lint  ## lint and all tests but the long proofs
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile

test-all: lint  ## everything, the long proofs too
	$(BIN)/pytest -m "slow or not slow"

bench: $(STAMP)  ## speed and memory, side by side (25 minutes; BENCH=--quick for 3)
	mkdir -p build
	$(BIN)/python -m bench --json build/bench.json --plot build/bench.svg $(BENCH)

soak: $(STAMP)  ## 100,000 random orders of events on the Machine alone
	$(BIN)/python -m tests.soak

chaos: $(STAMP)  ## real processes, killed, frozen, cut off and starved (about 10 minutes)
	$(BIN)/python -m tests.chaos

clean:  ## remove what the other targets made
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .coverage
