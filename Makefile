# make demo     a crawl to a model that writes, offline
# make test     the tests that need no large input     make slow    the rest of them
# make check    format, lint, types                    make bench   every claim against its peer
#
# Each target first makes its own environment in .venv, whatever environment is active.

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13,$(shell command -v $(name))) python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PEERS := .venv-peers/bin
PEERS_READY := $(if $(wildcard benchmarks/peers.txt),.venv-peers/.installed)
EXTRACTORS := .venv-extractors/bin

unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH

.PHONY: demo test slow check format bench clean

demo: .venv/.installed
	$(BIN)/quern demo

# A file's tests share fixtures, so they stay in one process; there is one for each core.
test: .venv/.installed
	$(BIN)/python -m pytest -n auto --dist loadfile

slow: .venv/.installed
	$(BIN)/python -m pytest -n auto --dist loadfile -m "slow and not gpu"

check: .venv/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.installed $(PEERS_READY) .venv-extractors/.installed
	missed=; for file in benchmarks/*.py; do \
	  QUERN_PEERS=$(PEERS)/python QUERN_EXTRACTORS=$(EXTRACTORS)/python $(BIN)/python $$file \
	    || missed="$$missed $$file"; done; \
	  test -z "$$missed" || { echo "failed or missed a bar:$$missed"; exit 1; }

# torch goes first and alone: a processor-only wheel named +cpu then wins over the one with CUDA.
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) -c constraints.txt -e ".[train,dev]"
	touch $@

# Peers bring their own fastText, which overwrites ours if it is installed beside it.
.venv-peers/.installed: benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	$(PEERS)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt
	touch $@

# An old pip fails on the spellings of lxml's extra.
.venv-extractors/.installed: benchmarks/extractors.txt
	$(PYTHON) -m venv .venv-extractors
	$(EXTRACTORS)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(EXTRACTORS)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/extractors.txt
	touch $@

clean:
	rm -rf .venv .venv-peers .venv-extractors .mypy_cache .pytest_cache .ruff_cache .hypothesis
