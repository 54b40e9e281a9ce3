# Two commands on a fresh machine with Python 3.11 or newer: `make demo`, `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# A range with a CPU build where this project is tested; asked for first, so nothing pulls another torch in.
TORCH  := torch>=2.8,<2.14

.PHONY: demo test lint docs bench peers install clean

demo: $(VENV)/.installed
	$(BIN)/adatom demo --out demo-output

test: $(VENV)/.installed-test lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/.installed-test
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(VENV)/.installed-docs
	$(BIN)/python docs/build.py

bench: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks $(NAME)

# The package we compare with, in an environment of its own; the list says why without its dependencies.
peers: .peers/.installed

.peers/.installed: benchmarks/peers/requirements.txt
	$(PYTHON) -m venv .peers
	.peers/bin/python -m pip install --quiet --disable-pip-version-check '$(TORCH)' -r benchmarks/peers/requirements.txt
	.peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps atomai==0.8.1
	.peers/bin/python benchmarks/peers/atomai_stand_ins.py
	touch $@

install: $(VENV)/.installed

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Adatom needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[formats]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fast,formats,test]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) build dist demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
