# Python (3.11 or newer) and make are enough. Everything else is set up in $(VENV) on first use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One worker more than there are cores: some tests wait for a process, a disk or a socket.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
# Without compiled files each process of a test run compiles everything anew: two thirds of the time before the first
# test.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: services fix hooks help demo test test-all quick torture coverage check bench docs package clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## / - /'

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say make PYTHON=python3.11")'
	@echo "setting up $(VENV), once"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY)  ## stream a text of 20 kB into memory, show it live, and find it again
	@$(BIN)/python examples/demo/main.py $(ARGS)

test: $(READY)  ## run the tests but the slow ones; the end says what was left out
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

services:  ## download Neo4j for the slow tests, once, where java and mvn are
	@$(PYTHON) tests/services/get_neo4j.py

test-all: services  ## run all tests, the slow ones too
	@$(MAKE) --no-print-directory test ARGS="--all $(ARGS)"

quick: $(READY)  ## run the tests of the files that differ from main
	@$(BIN)/python tests/changed.py $(ARGS)

torture: $(READY)  ## run the proofs with all their cases, and write their figures to docs/proofs.json
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal --torture tests/proofs $(ARGS)

coverage: services $(READY)  ## run all tests and fail under 95 % of lines and branches
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal --all --cov --cov-report=term $(ARGS)

check: $(READY)  ## style, types, layers of imports, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	@rm -rf $(VENV)/typed && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(VENV)/typed .
	cd $(VENV) && PATH="$$PWD/bin:$$PATH" PYTHONPATH="$$PWD/typed" pyright --verifytypes cortex_rx --ignoreexternal
	$(BIN)/lint-imports
	$(BIN)/codespell

fix: $(READY)  ## let ruff mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hooks: $(READY)  ## install the pre-commit hooks
	$(BIN)/pre-commit install

bench: $(READY)  ## compare with hand-written loops, side by side
	$(BIN)/python -m benchmarks $(ARGS)
	$(BIN)/python -m benchmarks.graph $(filter --check,$(ARGS))

docs: $(READY)  ## write the generated documentation and code
	@$(BIN)/python docs/file_layout.py
	@$(BIN)/python docs/generate.py

package: $(READY)  ## build sdist and wheel, and use the wheel in a fresh environment
	$(BIN)/python tests/packaging/build.py

clean:  ## remove what was set up
	rm -rf $(VENV) dist
