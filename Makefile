# Each target sets up what it needs; the install is skipped while nothing it reads has changed.
# pip takes its settings (another index, a cache) from the environment and its own config file.
VENV ?= .venv
MARKS ?= not slow and not gpu
unexport PYTHONDONTWRITEBYTECODE  # modules are compiled when first used, see pip below

PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest --quiet --numprocesses auto --maxprocesses 8
READY := $(VENV)/ready

.DEFAULT_GOAL := help
.PHONY: run test smoke bench check format coverage clean help

test smoke coverage: export OMP_NUM_THREADS = 1  # one test process a core, so one thread each

run: $(READY)  ## train the three-stage cascade on generated faces (ARGS="seed=1 ..." to vary it)
	$(VENV)/bin/facegeo-train $(ARGS)

test: $(READY)  ## test; MARKS=slow runs the slow ones instead, MARKS=gpu those that need one
	$(PYTEST) --ignore tests/smoke -m "$(MARKS)"

smoke: $(READY)  ## fit, test, save and reload every experiment on tiny fixtures
	$(PYTEST) tests/smoke

bench: $(READY)  ## time both models beside what people use now; about five minutes
	$(VENV)/bin/facegeo-bench $(ARGS)

check: $(READY)  ## lint, formatting, types
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

format: $(READY)  ## mend what the linter can, then format
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

coverage: $(READY)  ## test, and name the lines that no test reaches
	$(PYTEST) -m "$(MARKS)" --cov

clean:  ## remove the environment, builds and caches; results in runs/ stay
	rm -rf $(VENV) build dist .coverage .mypy_cache .pytest_cache .ruff_cache

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1	/p' $(MAKEFILE_LIST)

# --no-compile: of 2 GB of modules few are used, and those are compiled on first use.
$(READY): pyproject.toml .ci/constraints.txt .ci/python
	@echo 'Setting up $(VENV): a minute or two, 2 GB'
	sh .ci/python -m venv $(VENV)
	$(PY) -m pip install --quiet --no-compile --constraint .ci/constraints.txt --editable '.[dev]'
	touch $@
