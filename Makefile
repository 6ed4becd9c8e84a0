# Standby. `make help` lists what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
PYTHON := $(VENV)/bin/python
BASE_PYTHON ?= python3
SYSTEM ?=
YES ?=
# -P: build.py is no part of pip-tools, which would find it first.
PIP_COMPILE = $(PYTHON) -P -m piptools compile --quiet --allow-unsafe --generate-hashes --strip-extras \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host
SELECT := $(foreach name,$(SYSTEM),--system $(name))
CONFIRM := $(if $(YES),--yes)

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  ENV=suffix    the environment; required where something is deployed"
	@echo "  SYSTEM=name   one system, or several between quotes; default: all"
	@echo "  YES=1         answers the question before something is destroyed"

setup: $(VENV)/.installed ## install what the lock file pins into a virtual environment

$(VENV)/.installed: requirements.lock
	$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; this is %d.%d. Name another: make setup BASE_PYTHON=python3.12" % sys.version_info[:2])'
	$(BASE_PYTHON) -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	touch $@

build: setup ## render templates, packages and generated documents
	$(PYTHON) build.py

lint: setup ## cfn-lint over every template, region and environment
	$(PYTHON) build.py lint

check: setup build ## types, style, unchanged templates, cfn-lint
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) build.py lint
	git diff --exit-code --stat -- templates docs chain/types.json

test: setup ## all tests; installs PostgreSQL 15 and Redis where they are missing
	tests/servers/install
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-operations.lock
	$(PYTHON) build.py
	$(PYTHON) -m pytest -n 2 --dist loadgroup --cov --cov-report=
	$(PYTHON) -m coverage report --omit 'emulator/*' --fail-under 100
	$(PYTHON) -m coverage report --include 'emulator/*'

try: build ## deploy everything to the embedded emulator, read it back, destroy it; no account needed
	$(PYTHON) -m emulator exec --opted-in -- sh -ec '\
	  for command in "deploy --rotation-wait 15" status drift "destroy --yes"; do \
	    printf "\n# make %s ENV=try\n" "$${command%% *}"; \
	    $(PYTHON) deploy.py $$command --env try $(SELECT); \
	  done'

plan: ## what a deployment would change
deploy: ## create and update what changed; goes on after a failure
status: ## what stands, its outputs, and what waits for a person
drift: ## read every declared property back and compare
plan deploy status drift: build
	$(if $(ENV),,$(error name the environment: make $@ ENV=suffix))
	$(PYTHON) deploy.py $@ --env $(ENV) $(SELECT)

unlock: setup ## take away the locks of runs that have ended without letting go
	$(if $(ENV),,$(error name the environment: make $@ ENV=suffix))
	$(PYTHON) deploy.py $@ --env $(ENV) $(SELECT) $(CONFIRM)

destroy: build ## take an environment apart, after one question
	$(if $(ENV),,$(error name the environment: make $@ ENV=suffix))
	$(PYTHON) deploy.py $@ --env $(ENV) $(SELECT) $(CONFIRM)

replay: setup ## verify an archive of changes, or apply it: make replay ARGS="verify DIRECTORY"
	$(PYTHON) deploy.py replay $(ARGS)

bench: build ## measure start-up, build, deployment and memory; prints the table of bench/README.md
	$(PYTHON) bench/run.py

lock: setup ## resolve dependencies again and write the lock file
	$(PIP_COMPILE) --all-extras --output-file requirements.lock pyproject.toml
	$(PIP_COMPILE) --output-file requirements-operations.lock requirements-operations.in

.PHONY: help setup build lint check test try plan deploy status drift unlock destroy replay bench lock
