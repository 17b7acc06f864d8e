# Every target sets up what it needs from nothing; `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
FAMILY ?=
STAMP := $(VENV)/.installed
export OMP_NUM_THREADS ?= 2

.PHONY: help venv demo test bench claims lint docs

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

venv: $(STAMP)  ## create the virtual environment with the tested versions

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

DEMO ?=

demo: venv  ## run the whole job on a simulated shop, offline (DEMO=... passes options)
	$(BIN)/etalage demo $(DEMO)

# what is trained for the tests of a file is trained once: a file goes to one process
test: venv  ## run the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: venv  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

claims: venv  ## check every published figure (FAMILY=house limits to one family)
	$(BIN)/python benchmarks/claims.py $(if $(FAMILY),--family $(FAMILY))

bench: venv  ## run every benchmark, the long ones too (hours)
	$(BIN)/python benchmarks/claims.py --all $(if $(FAMILY),--family $(FAMILY))

docs: venv  ## write docs/settings.md from the code, and check every link
	$(BIN)/python docs/build.py
