# Each target sets up what it needs; the install is skipped while nothing it reads has changed.
# pip takes its settings (another index, a cache) from the environment and its own config file.
VENV ?= .venv
MARKS ?= not slow and not gpu
unexport PYTHONDONTWRITEBYTECODE  # modules are compiled when first used, see pip below

PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest --quiet --numprocesses auto --maxprocesses 8
READY := $(VENV)/ready

.DEFAULT_GOAL := help
.PHONY: run test test-portable test-lowest smoke bench check format coverage clean help

test test-portable test-lowest smoke coverage: export OMP_NUM_THREADS = 1  # one test process a core, so one thread each

run: $(READY)  ## train the three-stage cascade on generated faces (ARGS="seed=1 ..." to vary it)
	$(VENV)/bin/facegeo-train $(ARGS)

test: $(READY)  ## test; MARKS=slow runs the slow ones instead, MARKS=gpu those that need one
	$(PYTEST) --ignore tests/smoke -m "$(MARKS)"

# ONNX Runtime has no such switch: its kernels are those of this machine's processor.
test-portable: $(READY)  ## test the numeric parts with AVX2 alone, then with SSE4.1 alone
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 $(PYTEST) tests -m "portable and $(MARKS)"
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 $(PYTEST) tests -m "portable and $(MARKS)"

# Old releases warn of what newer Pythons and libraries will change, so warnings are no errors.
test-lowest: $(VENV)-lowest/ready  ## test with the lowest versions that pyproject.toml allows; 6 GB
	$(VENV)-lowest/bin/python -m pytest --quiet --numprocesses auto --maxprocesses 8 \
	  -W default --ignore tests/smoke -m "$(MARKS)"

smoke: $(READY)  ## fit, test, save and reload every experiment on tiny fixtures
	$(PYTEST) tests/smoke

bench: $(READY)  ## time both models beside what people use now; about five minutes
	$(VENV)/bin/facegeo-bench $(ARGS)

check: $(READY)  ## lint, formatting, types
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

format: $(READY)  ## apply the linter's automatic fixes, then format
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

coverage: $(READY)  ## test, and name the lines that no test reaches
	$(PYTEST) -m "$(MARKS)" --cov

clean:  ## remove the environment, builds and caches; results in runs/ stay
	rm -rf $(VENV) $(VENV)-lowest build dist .coverage .mypy_cache .pytest_cache .ruff_cache

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1	/p' $(MAKEFILE_LIST)

# --no-compile: of 2 GB of modules few are used, and those are compiled on first use.
$(READY): pyproject.toml .ci/constraints.txt .ci/python
	@echo 'Setting up $(VENV): a minute or two, 2 GB'
	sh .ci/python -m venv $(VENV)
	$(PY) -m pip install --quiet --no-compile --constraint .ci/constraints.txt --editable '.[dev]'
	touch $@

# pip cannot choose the lowest versions, uv can.
$(VENV)-lowest/ready: pyproject.toml .ci/python
	@echo 'Setting up $(VENV)-lowest: some minutes, 6 GB'
	sh .ci/python -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet uv
	UV_SYSTEM_CERTS=true $(VENV)-lowest/bin/python -m uv pip install --quiet --python $(VENV)-lowest/bin/python \
	  --resolution lowest-direct --editable '.[dev]'
	touch $@
