# Everything a person or CI calls. Needs: make, Python 3.11 or newer, and root or sudo for the first run.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON      ?= python3
UV_VERSION  := 0.13.8
TOOLS       := .overture/tools
UV          := $(TOOLS)/uv-$(UV_VERSION)/bin/uv
BIN         := .venv/bin
TRAIN       := .overture/train
STACK       := $(BIN)/python -m infra.local.stack
# what `make models` calls, and what `make check` calls, one command a line
MODELS      := $(BIN)/python -m models.build
TESTS       ?= tests
define CHECKS
$(BIN)/ruff check .
$(BIN)/ruff format --check .
$(BIN)/mypy
$(BIN)/lint-imports
$(BIN)/deptry .
$(BIN)/typos
$(BIN)/overture schemas check
endef
export CHECKS

step = @printf '\033[1m==>\033[0m %s\n' "$(1)"

.PHONY: help run up down status demo test check models train test-train system env jars setup

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

run: setup ## Install what is missing, start everything, run the demo, keep running until Ctrl-C
	$(call step,starting)
	@$(STACK) run

up: setup ## The same in the background, without the demo
	$(call step,starting)
	@$(STACK) up

down: ## Stop what `make up` started, and only that
	@if [ -x $(BIN)/python ]; then $(STACK) down; else echo 'Nothing to stop.'; fi

status: ## Show the programs of the local stack
	@$(STACK) status

demo: ## Run the demo against the running stack
	@$(BIN)/python -m infra.demo

test: setup ## Run all tests (TESTS=tests/unit for a part)
	$(call step,tests)
	@$(BIN)/pytest $(TESTS)

check: env ## Run every static check
	@failed=; while IFS= read -r command; do \
	  printf '\033[1m==>\033[0m %s\n' "$$command"; \
	  $$command || failed="$$failed\n  $$command"; \
	done <<< "$$CHECKS"; \
	if [ -n "$$failed" ]; then printf "\033[31mfailed:\033[0m$$failed\n"; exit 1; fi

train: $(UV) ## Train the project's own models (torch in an environment of its own)
	$(call step,training environment)
	@UV_PROJECT_ENVIRONMENT=$(TRAIN) $(UV) sync --frozen --python $(PYTHON) --extra train
	@for model in text-moderation content-classification; do $(TRAIN)/bin/python -m models.training $$model; done

test-train: $(UV) ## Test the training code (torch)
	@UV_PROJECT_ENVIRONMENT=$(TRAIN) $(UV) sync --frozen --python $(PYTHON) --extra train
	@$(TRAIN)/bin/pytest -o addopts= --import-mode=importlib tests/training

models: env .overture/stamps/models ## Build the model weights

setup: system env jars models ## Install everything without starting it

system: ## Install missing Debian packages: Java 17, Maven, Redis, FluidSynth
	@PYTHON=$(PYTHON) bash infra/local/system.sh

env: .overture/stamps/env ## Install the locked Python environment
jars: .overture/stamps/jars ## Fetch the broker and the schema registry

$(UV): | system
	$(call step,uv $(UV_VERSION))
	@rm -rf $(TOOLS)/uv-$(UV_VERSION)
	@$(PYTHON) -m venv $(TOOLS)/uv-$(UV_VERSION)
	@$(TOOLS)/uv-$(UV_VERSION)/bin/pip install --disable-pip-version-check uv==$(UV_VERSION)

.overture/stamps/env: pyproject.toml uv.lock | $(UV)
	$(call step,Python environment)
	@$(UV) sync --frozen --python $(PYTHON)
	@mkdir -p $(@D) && touch $@

.overture/stamps/jars: infra/local/pom.xml | system
	$(call step,broker and schema registry)
	@rm -rf .overture/jars
	@mvn --strict-checksums -f infra/local/pom.xml package
	@ls .overture/jars/kafka/kafka_2.13-*.jar .overture/jars/registry/*-runner.jar > /dev/null
	@mkdir -p $(@D) && touch $@

# models/ and the lock decide what the weights are
.overture/stamps/models: uv.lock $(shell find models -name '*.json' -o -name '*.onnx' -o -name '*.safetensors' 2>/dev/null) | .overture/stamps/env
	$(call step,model weights)
	@$(MODELS)
	@mkdir -p $(@D) && touch $@
