# Everything a fresh machine needs is python3 (3.11 or newer) and make; the rest lands in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-out
INSTALLED := $(VENV)/.installed

.PHONY: demo demo-real test lint fast-test docs gpu-check browser install clean

demo: $(INSTALLED)  ## the whole chain on phantoms; prints the paths of report and board last
	$(BIN)/rsuper-bench demo --out $(OUT)

demo-real: $(INSTALLED)  ## the chain on real reports and CTs: make demo-real RSUPER_BENCH_DATA=DIR
	$(BIN)/rsuper-bench demo --out $(OUT)-real --real "$(RSUPER_BENCH_DATA)"

test: $(INSTALLED) lint  ## style, types, then every test
	$(BIN)/pytest -n auto --dist worksteal

fast-test: $(INSTALLED)  ## the tests one runs while writing
	$(BIN)/pytest -n auto --dist worksteal -m "not slow"

# With an environment of your own (the [train] extra is enough): make gpu-check GPU_PYTHON=python3
GPU_PYTHON ?= $(BIN)/python
gpu-check: $(if $(filter $(BIN)/python,$(GPU_PYTHON)),$(INSTALLED))  ## GPU tests and benchmarks; writes docs/gpu-check.md
	$(GPU_PYTHON) tests/gpu/benchmark.py --out docs/gpu-check.md

docs: $(INSTALLED)  ## the website, in site/; open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict  # --quiet would hide warnings from --strict

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(INSTALLED)

browser:  ## Chromium for the tests of pages (Debian, Ubuntu; as root); without it they are skipped
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

# With constraints.txt torch is the CPU build where one is offered; on a GPU machine: make install CONSTRAINTS=
CONSTRAINTS ?= -c constraints.txt
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(OUT) $(OUT)-real build dist site
