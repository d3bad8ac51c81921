# Every daily command. Plain `make` prints this list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
ARGS ?=
# As they were given: make would read the $ in SRC='/p/a$b' as a variable of its own.
export SOURCE := $(value SRC)
export BEGINNING := $(value FROM)
MODEL ?= recipes/models/faces.npz
export SHOWN := $(value MODEL)
WORDS = $(value ARGS)
SAMPLE := data/sample/raw
RUNS ?= $(firstword $(wildcard data/runs data/sample/runs))
export LOGS := $(if $(filter command environment,$(origin RUNS)),$(value RUNS),$(RUNS))
export WORKED := $(value SCHEDULER)

# Of the command line alone: programs that send mail have a FROM of their own.
BEGUN = $(if $(filter command,$(origin FROM)),--TrainStyleGAN-resume-from "$$BEGINNING")
named = test -n "$$SOURCE" || { echo "SRC is empty: name the folder of photos" >&2; exit 2; }

help:  ## print this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

dataset: .venv/ready  ## build the dataset: make dataset SRC=/photos [ARGS="--Dataset-size 512"]
ifneq ($(origin SRC),undefined)
	@$(named)
	@$(PY) -m pipeline run --Ingest-source "$$SOURCE" $(WORDS)
else
	@test -d $(SAMPLE) || $(PY) -m pipeline sample $(SAMPLE)
	@LUIGI_CONFIG_PATH=recipes/sample.cfg $(PY) -m pipeline run $(WORDS)
endif

train: .venv/ready  ## dataset, then StyleGAN2 on it; again: goes on: make train SRC=/photos [FROM=x.pkl]
ifeq ($(origin FROM),command line)
	@test -n "$$BEGINNING" || { echo "FROM is empty: name the model to begin from" >&2; exit 2; }
endif
ifneq ($(origin SRC),undefined)
	@$(named)
	@$(PY) -m pipeline run TrainStyleGAN --Ingest-source "$$SOURCE" $(BEGUN) $(WORDS)
else
	@named=$$($(PY) -m pipeline source TrainStyleGAN $(BEGUN) $(WORDS)) || exit; \
	if [ -n "$$named" ] || [ -n "$$LUIGI_CONFIG_PATH" ]; then \
		exec $(PY) -m pipeline run TrainStyleGAN $(BEGUN) $(WORDS); \
	fi; \
	echo "no photos are named (SRC=/photos): this trains on the sample, for some minutes"; \
	test -d $(SAMPLE) || $(PY) -m pipeline sample $(SAMPLE) || exit; \
	LUIGI_CONFIG_PATH=recipes/sample-training.cfg exec $(PY) -m pipeline run TrainStyleGAN $(BEGUN) $(WORDS)
endif

board: .venv/ready  ## TensorBoard on all runs, http://localhost:6006
ifneq ($(filter command environment,$(origin RUNS)),)
	@test -d "$$LOGS" || { echo "RUNS = $$LOGS: there is no such folder of runs" >&2; exit 2; }
endif
	@test -d "$$LOGS" || { echo "no run is in data/runs yet: make train begins one" >&2; exit 2; }
	@$(PY) -c "import tensorboard" 2>/dev/null || ./setup.sh board
	@$(PY) -m tensorboard.main --logdir="$$LOGS" $(WORDS)

page: .venv/ready  ## a page on which a model draws in the browser: make page [MODEL=data/runs/x]
	@$(PY) -m training page --model="$$SHOWN" --out data/page $(WORDS)

status: .venv/ready  ## what is done and what is open; runs nothing: make status [SRC=/photos]
ifneq ($(origin SRC),undefined)
	@$(named)
	@$(PY) -m pipeline status --Ingest-source "$$SOURCE" $(WORDS)
else
	@named=$$($(PY) -m pipeline source $(WORDS)) || exit; \
	if [ -z "$$named$$LUIGI_CONFIG_PATH" ] && [ -d $(SAMPLE) ]; then \
		export LUIGI_CONFIG_PATH=recipes/sample$(if $(wildcard data/sample/runs),-training).cfg; \
	fi; \
	exec $(PY) -m pipeline status $(WORDS)
endif

review: .venv/ready  ## accept, mend or refuse every portrait: make review SRC=/photos
ifneq ($(origin SRC),undefined)
	@$(named)
	@$(PY) -m pipeline review --Ingest-source "$$SOURCE" $(WORDS)
else
	@test -d $(SAMPLE) || $(PY) -m pipeline sample $(SAMPLE)
	@LUIGI_CONFIG_PATH=recipes/sample.cfg $(PY) -m pipeline review $(WORDS)
endif

test: check  ## set up, then run all checks and tests

check: .venv/ready  ## ruff, mypy, pytest: what CI runs
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(WORDS)

bench: .venv/ready  ## run the benchmarks; they print one table each
	for name in dataset resize embed export input step; do $(PY) benchmarks/$$name.py || exit 1; done

gallery: .venv/ready  ## draw the pictures of docs/gallery.md anew, from recipes/models; trains nothing
	@$(PY) -m benchmarks.gallery $(WORDS)

docs: .venv/ready  ## write what is generated: luigi.cfg and docs/options.md
	$(PY) -m pipeline options --cfg > luigi.cfg.new && mv luigi.cfg.new luigi.cfg
	$(PY) -m pipeline options > docs/options.md.new && mv docs/options.md.new docs/options.md

scheduler: .venv/ready  ## start luigid on http://localhost:8082 (then LUIGI_CONFIG_PATH=recipes/luigid.cfg)
	@mkdir -p data
	.venv/bin/luigid --address 127.0.0.1 --state-path data/luigid.pickle

# It listens where the scheduler is reached from, and on no other network of this machine.
TOWARDS = import sys; from pipeline.engine.towards import main; sys.exit(main())
CORES = from atelier.cores import cores; print(cores())

# Two settings let glibc keep large buffers, which Dask's own would give back each time; the third
# spares a log of what a worker was at, which takes 50 MB in an hour.
worker: .venv/ready  ## one worker process per core: make worker SCHEDULER=tcp://host:8786
	@test -n "$$WORKED" || { echo "name the scheduler: SCHEDULER=tcp://host:8786" >&2; exit 2; }
	@host=$$($(PY) -c "$(TOWARDS)" "$$WORKED") && \
	MALLOC_TRIM_THRESHOLD_=268435456 MALLOC_MMAP_THRESHOLD_=33554432 \
	DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False \
	.venv/bin/dask worker "$$WORKED" --host "$$host" --nworkers $$($(PY) -c "$(CORES)") --nthreads 1 \
		--no-dashboard --dashboard-address 127.0.0.1:0

setup:  ## install what is needed: system libraries, .venv, Python packages [GPU=1: CUDA's, GPU=0: not]
	@./setup.sh

.venv/ready: pyproject.toml setup.sh
	@./setup.sh

.PHONY: help dataset review train board page gallery status test check bench docs scheduler worker setup
