# Every daily command. Plain `make` prints this list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
ARGS ?=

help:  ## print this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

dataset: .venv/ready  ## build the dataset: make dataset SRC=/photos [ARGS="--Dataset-size 512"]
ifneq ($(origin SRC),undefined)
	@test -n "$$SRC" || { echo "SRC is empty: name the folder of photos" >&2; exit 2; }
	@$(PY) -m pipeline run --Ingest-source "$$SRC" $(ARGS)
else
	@test -d data/sample/raw || $(PY) -m pipeline sample data/sample/raw
	@LUIGI_CONFIG_PATH=recipes/sample.cfg $(PY) -m pipeline run $(ARGS)
endif

train: .venv/ready  ## dataset, then StyleGAN2 on it; the same again goes on: make train [ARGS="--Ingest-source /photos"]
	@$(PY) -m pipeline run TrainStyleGAN $(ARGS)

status: .venv/ready  ## what is done and what is open; runs nothing
	@$(PY) -m pipeline status $(ARGS)

review: .venv/ready  ## accept, mend or refuse every portrait: make review SRC=/photos
ifneq ($(origin SRC),undefined)
	@$(PY) -m pipeline review --Ingest-source "$$SRC" $(ARGS)
else
	@test -d data/sample/raw || $(PY) -m pipeline sample data/sample/raw
	@LUIGI_CONFIG_PATH=recipes/sample.cfg $(PY) -m pipeline review $(ARGS)
endif

test: check  ## set up, then run all checks and tests

check: .venv/ready  ## ruff, mypy, pytest: what CI runs
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: .venv/ready  ## run the benchmarks; they print one table each
	for name in dataset resize embed export input step; do $(PY) benchmarks/$$name.py || exit 1; done

docs: .venv/ready  ## write what is generated: luigi.cfg and docs/options.md
	$(PY) -m pipeline options --cfg > luigi.cfg.new && mv luigi.cfg.new luigi.cfg
	$(PY) -m pipeline options > docs/options.md

scheduler: .venv/ready  ## start luigid on http://localhost:8082 (then LUIGI_CONFIG_PATH=recipes/luigid.cfg)
	@mkdir -p data
	.venv/bin/luigid --address 127.0.0.1 --state-path data/luigid.pickle

# The two settings let glibc keep large buffers, which Dask's own would give back each time.
worker: .venv/ready  ## one worker process per core: make worker SCHEDULER=tcp://host:8786
	MALLOC_TRIM_THRESHOLD_=268435456 MALLOC_MMAP_THRESHOLD_=33554432 \
	.venv/bin/dask worker $(SCHEDULER) --nworkers $$(nproc) --nthreads 1 --no-dashboard

setup: .venv/ready  ## install what is needed: system libraries, .venv, Python packages

.venv/ready: pyproject.toml setup.sh
	@./setup.sh
	@touch $@

.PHONY: help dataset review train status test check bench docs scheduler worker setup
