# make run:  the default configuration, from raw data to reports
# make test: the tests, style and type checks
# make bench: what it costs, as ratios in one run (benchmarks/cost)
# Each first sets up a virtual environment in .venv, once.

PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 2)
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH)
export PYTHONNOUSERSITE := 1
export OMP_NUM_THREADS := 1

.PHONY: run test bench check format schemas clean

run: $(VENV)/run.stamp
	snakemake --cores $(CORES) --quiet rules
	codsa summary

test: check
	pytest -n $(CORES) --dist worksteal

bench: $(VENV)/run.stamp
	python benchmarks/cost

check: $(VENV)/dev.stamp
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	mypy
	snakemake --lint

format: $(VENV)/dev.stamp
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

schemas: $(VENV)/run.stamp
	python -m codsa.config Config > workflow/schemas/config.schema.json
	python -m codsa.config Experiment > workflow/schemas/experiment.schema.json

$(VENV)/venv.stamp:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV) || $(PYTHON) -m virtualenv $(VENV) || \
		{ echo "No virtual environment can be made: install python3-venv (apt install python3-venv)" >&2; exit 1; }
	touch $@

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(VENV)/venv.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(VENV)/venv.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/run.stamp

clean:
	rm -rf $(VENV) .snakemake .mypy_cache .pytest_cache .ruff_cache
