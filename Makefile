# Every daily command. Plain `make` prints this list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
ARGS ?=

help:  ## print this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

dataset: .venv/ready  ## build the dataset: make dataset SRC=/photos [ARGS="--Dataset-size 512"]
ifdef SRC
	@$(PY) -m pipeline run --Ingest-source "$(SRC)" $(ARGS)
else
	@test -d data/raw/sample || $(PY) -m pipeline sample data/raw/sample
	@LUIGI_CONFIG_PATH=recipes/sample.cfg $(PY) -m pipeline run $(ARGS)
endif

status: .venv/ready  ## what is done and what is open; runs nothing
	@$(PY) -m pipeline status $(ARGS)

test: check  ## set up, then run all checks and tests

check: .venv/ready  ## ruff, mypy, pytest: what CI runs
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/pytest -q -n 2 --dist worksteal $(ARGS)

bench: .venv/ready  ## run the benchmarks; they print one table each
	for script in benchmarks/[a-z]*.py; do $(PY) $$script || exit 1; done

docs: .venv/ready  ## write what is generated: luigi.cfg and docs/options.md
	$(PY) -m pipeline options --cfg > luigi.cfg.new && mv luigi.cfg.new luigi.cfg
	$(PY) -m pipeline options > docs/options.md

scheduler: .venv/ready  ## start luigid on http://localhost:8082 (then LUIGI_CONFIG_PATH=recipes/luigid.cfg)
	@mkdir -p data
	.venv/bin/luigid --address 127.0.0.1 --state-path data/luigid.pickle

setup: .venv/ready  ## install what is needed: system libraries, .venv, Python packages

.venv/ready: pyproject.toml setup.sh
	@./setup.sh
	@touch $@

.PHONY: help dataset status test check bench docs scheduler setup
