# make grid       run the demo grid; SPACE=notebook ARGS="--seed 1 --seed 2" selects another search space and options
# make test       lint, types and tests; always with the same random examples
# make test-fast  the tests that need neither Ray, training, another process nor a browser; fewer random examples
# make test-all   all tests, including those that take minutes
# make fuzz       property tests with fresh random examples for MINUTES=60, until one fails
# make docs       the reference pages and the documentation site in build/site
# make chaos      a grid whose workers, driver, node and disk fail: the table of docs/reliability.md
# All targets first install into .venv; PYTHON=python3.12 selects another interpreter.

PYTHON ?= python3
SPACE ?= demo
ARGS ?=
MINUTES ?= 60
WORKERS ?= 3
TORCH := $(shell grep '^torch==' constraints.txt)
BIN := .venv/bin
# Without --use-pep517, pip before 23.1 runs the setup.py of seqeval, which fetches its build tools without what they need.
# Most modules are never imported, so they are compiled when they first are; later processes read that byte code.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --use-pep517 -c constraints.txt
PYTEST := $(BIN)/python -m pytest -n $(WORKERS)

.PHONY: install grid test pytest test-fast test-all fuzz chaos docs lint format clean

install: .venv/installed

# torch is installed first and pinned, so that pip takes the build that suits the machine (CPU or CUDA).
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "error: found $$($(PYTHON) --version 2>/dev/null || echo no $(PYTHON)), expected Python 3.11 or newer; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'from ensurepip import version' 2>/dev/null || \
		{ echo "error: $(PYTHON) cannot create virtual environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Installing torch and the other packages of constraints.txt into .venv: 0.7 GB to download for a CPU, 3.2 GB with CUDA"
	$(PYTHON) -m venv .venv
	$(INSTALL) $(TORCH)
	$(INSTALL) --editable '.[dev,minilm,mlflow]'
	@touch $@

grid: install
	$(BIN)/python -m tune_ner.grid $(SPACE) $(ARGS)

docs: install
	$(BIN)/python docs/generate_reference.py
	$(BIN)/mkdocs build --strict

chaos: install
	$(BIN)/python -m benchmarks.chaos $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# mypy, which uses one core for a minute, runs while the tests wait for their processes
test: install
	@$(MAKE) --no-print-directory -j 2 lint pytest

pytest: install
	HYPOTHESIS_PROFILE=ci $(PYTEST) --dist worksteal

test-fast: install
	HYPOTHESIS_PROFILE=fast $(PYTEST) -m 'not slow and not long and not browser'

# also: a clean installation, longer runs, and an MLflow server if MLFLOW_SERVER names one
test-all: lint
	HYPOTHESIS_PROFILE=ci TUNE_NER_CLEAN_INSTALL=1 $(PYTEST) --dist worksteal -m ''

fuzz: install
	@end=$$(($$(date +%s) + 60 * $(MINUTES))); while seed=$$(date +%s); [ $$seed -lt $$end ]; do \
		echo "seed $$seed"; \
		HYPOTHESIS_PROFILE=fuzz $(PYTEST) -q -m 'hypothesis and not long' --hypothesis-seed=$$seed || exit 1; \
	done

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
