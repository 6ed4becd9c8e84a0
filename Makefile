# Standby. `make help` lists what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
CHECKOV := .venv-checkov
PYTHON := $(VENV)/bin/python
BASE_PYTHON ?= python3
SYSTEM ?=
TEST_GROUPS := test operations page oscal policy-sentry
INSTALL := $(BASE_PYTHON) requirements/install.py
SELECT := $(foreach name,$(SYSTEM),--system $(name))
# The same on every machine: text is UTF-8, and what lies beside a program is found by it.
export PYTHONUTF8 := 1
unexport PYTHONSAFEPATH

$(if $(filter 1,$(words $(VENV))),,$(error VENV is one folder without a space in its path; it is "$(VENV)"))

ENVIRONMENTS := plan deploy status drift failover failback unlock destroy

# Asked for before anything is installed or built.
NAMELESS := $(if $(ENV),,$(firstword $(filter $(ENVIRONMENTS),$(MAKECMDGOALS))))
$(if $(NAMELESS),$(error name the environment: make $(NAMELESS) ENV=suffix))
# So is a system that there is not.
KNOWN := $(notdir $(patsubst %/,%,$(wildcard parameters/*/)))
STRANGE := $(if $(filter try $(ENVIRONMENTS),$(MAKECMDGOALS)),$(filter-out $(KNOWN),$(SYSTEM)))
$(if $(STRANGE),$(error $(STRANGE) is no system; there are: $(KNOWN)))
# A word that is misspelt would be left out in silence: SYSTEMS=ledger would destroy all of them.
WORDS := ENV SYSTEM YES MODE APPROVE RUN ARGS ALLOW REASON BASE_PYTHON VENV
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
UNKNOWN := $(filter-out $(WORDS),$(GIVEN))
$(if $(UNKNOWN),$(error $(UNKNOWN) is nothing that make knows here; it knows $(WORDS)))
# Each of these is an option of the same name, and a command that does not take it refuses it. What the environment says is none.
QUOTED = $(if $(filter $(1),$(GIVEN)),--$(2) "$$$(1)")
OPTIONS = $(SELECT) $(call QUOTED,MODE,mode) $(call QUOTED,APPROVE,approve) $(call QUOTED,ALLOW,allow) $(call QUOTED,REASON,reason) $(if $(filter YES,$(GIVEN)),--yes)
TAKEN := $(if $(filter $(ENVIRONMENTS),$(MAKECMDGOALS)),MODE APPROVE ALLOW REASON YES) $(if $(filter show,$(MAKECMDGOALS)),RUN) $(if $(filter show replay worst-days lock,$(MAKECMDGOALS)),ARGS)
LOST := $(filter-out $(TAKEN),$(filter MODE APPROVE ALLOW REASON YES RUN ARGS,$(GIVEN)))
$(if $(LOST),$(error $(LOST) is no word of make $(MAKECMDGOALS)))
ifneq ($(filter YES,$(GIVEN)),)
ifneq ($(YES),1)
$(error YES is "$(YES)"; it is 1, or not given)
endif
endif

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  ENV=suffix       the environment; required where something is deployed"
	@echo "  SYSTEM=name      one system, or several between quotes; default: all"
	@echo "  YES=1            answers the question of destroy, failover, failback and unlock"
	@echo "  MODE=name        failover: dry-run (default), switchover, failover; failback: failback (default), dry-run"
	@echo "  APPROVE=name     the execution of a failover that waits for a person"
	@echo "  RUN=name         the run that show shows; default: last"
	@echo "  ARGS=...         goes on to the command of show, replay, worst-days and lock"
	@echo "  ALLOW='ids'      what a deployment may lose or open, by logical ids; REASON='why' is kept"

setup: $(VENV)/.run ## install what runs into a virtual environment, as requirements/run.lock pins it

define READY
@$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; this is %d.%d. Name another: make setup BASE_PYTHON=python3.12" % sys.version_info[:2])'
@$(BASE_PYTHON) -c 'import ssl, venv, ensurepip' || { echo "This Python cannot make a virtual environment. On Debian: apt-get install python3-venv; or name another: BASE_PYTHON=python3.12" >&2; exit 1; }
endef

# An environment without a Python that is there, or that was left unfinished, is none, whatever its stamps say.
GONE := $(if $(shell test -x $(PYTHON) && ! test -e $(VENV)/.unfinished && echo here),,anew)
anew: ;

$(VENV)/.run: requirements/run.lock requirements/installer.lock $(GONE)
	$(READY)
	@$(INSTALL) $(VENV) run
	@touch $@

$(VENV)/.test: $(TEST_GROUPS:%=requirements/%.lock) $(GONE) | $(VENV)/.run
	@$(INSTALL) $(VENV) $(TEST_GROUPS)
	@touch $@

$(CHECKOV)/.checkov: requirements/checkov.lock
	$(READY)
	@$(INSTALL) $(CHECKOV) checkov
	@touch $@

packages: setup ## the packages of functions; renders everything first where templates/ is not what git holds
	@$(PYTHON) build.py packages

build: setup ## render templates, packages and generated documents
	$(PYTHON) build.py

docs: build ## say where docs/index.html is, the one page for people; every build writes it
	@$(PYTHON) -c 'from pathlib import Path; print(Path("docs/index.html").resolve().as_uri())'

evidence: setup ## out/evidence: each finding with rule, property and line, as text, CSV and OSCAL
	$(PYTHON) build.py evidence

lint: setup ## cfn-lint over every template, region and environment
	$(PYTHON) build.py lint

check: build second ## types, style, unchanged templates, cfn-lint, second opinions
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) build.py lint
	git diff --exit-code --stat -- templates docs chain/types.json
	! git ls-files --others --exclude-standard -- templates docs chain/types.json | grep .  # generated, and not committed

second: build $(CHECKOV)/.checkov $(VENV)/.test ## what checkov and policy_sentry say of every template and policy
	$(PYTHON) -m compliance.external_checks --checkov $(CHECKOV)/bin/checkov

# Where bytecode is not to be written, thousands of processes would compile all that they import.
test: $(VENV)/.test ## all tests; installs PostgreSQL 15, Redis and Chromium where they are missing
	tests/servers/install
	$(PYTHON) build.py
	PYTHONDONTWRITEBYTECODE= $(PYTHON) -m pytest -n 4 --cov --cov-report=
	$(PYTHON) -m coverage report --fail-under 100

emulator-lines: $(VENV)/.test ## the share of the emulator's lines that its own tests reach
	EMULATOR_LINES=1 $(PYTHON) -m pytest -n 3 --cov=emulator --cov-report= tests/emulator
	$(PYTHON) -m coverage report --include 'emulator/*'

try: packages ## deploy everything to the embedded emulator, read it back, destroy it; no account needed
	$(PYTHON) -m emulator exec --opted-in -- sh -ec '\
	  for command in "deploy --rotation-wait 15" status drift "destroy --yes"; do \
	    printf "\n# make %s ENV=try\n" "$${command%% *}"; \
	    $(PYTHON) deploy.py $$command --env try $(SELECT); \
	  done'

plan: ## what a deployment would change
deploy: ## create and update what changed; goes on after a failure
status: ## what stands, its outputs, and what waits for a person
drift: ## read every declared property back and compare
plan deploy: build
status drift: setup
failover: setup ## say what a failover would do and lose; MODE=switchover or MODE=failover does it, after one question
failback: setup ## bring a system home again
unlock: setup ## take away the locks of runs that have ended without letting go
destroy: setup ## take an environment apart, after one question
$(ENVIRONMENTS):
	$(PYTHON) deploy.py $@ --env $(ENV) $(OPTIONS)

show: setup ## the record of a run: make show RUN=last ARGS=--html >run.html
	@$(PYTHON) deploy.py $@ --run '$(or $(RUN),last)' $(ARGS)

replay: setup ## verify an archive of changes, or apply it: make replay ARGS="verify DIRECTORY"
	$(PYTHON) deploy.py replay $(ARGS)

bench: build ## measure start-up, build, deployment and memory; prints the table of bench/README.md
	$(PYTHON) bench/run.py

worst-days: $(VENV)/.test ## fifty worst days by chance on a CloudFormation of our own: make worst-days ARGS="--runs 1 --seed 106"
	$(PYTHON) -m tests.chain.worst_days $(ARGS)

lock: setup ## pin the newest versions that fit pyproject.toml; ARGS=--keep: only what has to change
	$(PYTHON) requirements/lock.py $(ARGS)

outdated: setup ## what make lock would change
	$(PYTHON) requirements/lock.py --outdated

clean-room: ## set up and try what is committed as on a fresh machine, with every Python here that is supported
	$(BASE_PYTHON) .ci/clean_room.py

.PHONY: help setup packages build docs evidence lint check second test emulator-lines try plan deploy status drift failover failback unlock destroy show replay bench worst-days lock outdated clean-room
