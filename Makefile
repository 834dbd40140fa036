# make run:  the default configuration, from raw data to reports
# make test: the tests, style and type checks
# make cluster: what `snakemake --profile slurm` needs (docs/cluster.md)
# make bench: what it costs, as ratios in one run (benchmarks/cost)
# Each first sets up a virtual environment in .venv, once.

PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 2)
VENV := .venv
IMAGE := containers/codsa-$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' codsa/__init__.py).sif
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH)
export PYTHONNOUSERSITE := 1
export OMP_NUM_THREADS := 1
# What the lock files name is installed only with the hashes there. The package itself and torch follow, at the version
# in constraints.txt: a machine with CUDA takes another file of torch than one without, and more packages with it.
LOCKED := $(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
PACKAGE := $(BIN)/python -m pip install --quiet --no-build-isolation --constraint constraints.txt --editable

.PHONY: run test test-all test-cluster bench check format schemas lock cluster image clean

run: $(VENV)/run.stamp
	snakemake --cores $(CORES) --quiet rules
	codsa summary

test: check
	pytest -n $(CORES) --dist worksteal
	pytest tests/cluster -m short -rs

# More of what `make test` draws a part of: faults, kills, random tables and values of options.
test-all: check
	CODSA_FAULTS=3000 CODSA_KILLS=10 CODSA_THOROUGH=1 pytest -n $(CORES) --dist worksteal
	pytest tests/cluster -m short -rs

# All tests that start a real Slurm of their own: as root, on a machine that has none in use. `make test` runs two.
test-cluster: $(VENV)/dev.stamp
	pytest tests/cluster -m cluster -rs

cluster: $(VENV)/cluster.stamp image

image: $(IMAGE)

bench: $(VENV)/run.stamp
	python benchmarks/cost

check: $(VENV)/dev.stamp
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	mypy
	lint-imports
	snakemake --lint

format: $(VENV)/dev.stamp
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

schemas: $(VENV)/run.stamp
	python -m codsa.workflow.config Config > workflow/schemas/config.schema.json
	python -m codsa.workflow.config Experiment > workflow/schemas/experiment.schema.json

# After constraints.txt was edited: the hashes of its files, as the package index gives them.
lock: $(VENV)/dev.stamp
	python -m pip install --quiet uv
	python tools/lock.py

$(VENV)/venv.stamp:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV) || $(PYTHON) -m virtualenv $(VENV) || \
		{ echo "No virtual environment can be made: install python3-venv (apt install python3-venv)" >&2; exit 1; }
	touch $@

$(VENV)/run.stamp: pyproject.toml constraints.txt requirements.lock | $(VENV)/venv.stamp
	$(LOCKED)
	$(PACKAGE) .
	touch $@

$(VENV)/cluster.stamp: pyproject.toml constraints.txt requirements.lock | $(VENV)/venv.stamp
	$(LOCKED)
	$(PACKAGE) '.[cluster]'
	touch $@ $(VENV)/run.stamp

$(IMAGE): containers/codsa.def constraints.txt requirements.lock pyproject.toml $(shell find codsa -name '*.py' -o -name '*.html' -o -name '*.css')
	apptainer build $(if $(filter-out 0,$(shell id -u)),--fakeroot) --force $@ containers/codsa.def

$(VENV)/dev.stamp: pyproject.toml constraints.txt requirements.lock requirements-dev.lock | $(VENV)/venv.stamp
	$(LOCKED) --requirement requirements-dev.lock
	$(PACKAGE) '.[dev]'
	touch $@ $(VENV)/run.stamp

clean:
	rm -rf $(VENV) .snakemake .mypy_cache .pytest_cache .ruff_cache
