# Everything a person or CI calls. Needs: make, Python 3.11 or newer, and root or sudo for the first run.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON      ?= python3
UV_VERSION  := 0.13.8
HELM_VERSION := 3.18.6
KEDA_MODELS := 2.0.0
TOOLS       := .overture/tools
UV          := $(TOOLS)/uv-$(UV_VERSION)/bin/uv
BIN         := .venv/bin
TRAIN       := .overture/train
STACK       := $(BIN)/python -m infra.local.stack
# what `make models` calls, and what `make check` calls, one command a line
MODELS      := $(BIN)/python -m models.build
TESTS       ?= tests
BENCHES     ?= play_aggregation recallable decode_pass reads learned_reads growth verify avatars face_pairs face_degradations \
               face_ages gallery fraud_rings text_moderation media_people moderation_reasons
# of each property; a decoder has three or four of them
FUZZ_CASES  ?= 34000
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

.PHONY: help run up down status demo console demo-bundle test check check-deploy models train train-env test-train test-faults test-hostile bench bench-peers fuzz browser system env jars setup

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

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

console: setup ## Fill the review queue with real pictures and show the address of the moderators' console
	@$(BIN)/python -m infra.demo.console

demo-bundle: train-env ## Make the demo's recommender again, on an empty running stack
	@$(BIN)/python -m infra.demo.teach --train $(TRAIN)/bin/overture

test: setup browser ## Run all tests (TESTS=tests/unit for a part)
	$(call step,tests)
	@$(BIN)/pytest $(TESTS)

check: env ## Run every static check
	@failed=; while IFS= read -r command; do \
	  printf '\033[1m==>\033[0m %s\n' "$$command"; \
	  $$command || failed="$$failed\n  $$command"; \
	done <<< "$$CHECKS"; \
	if [ -n "$$failed" ]; then printf "\033[31mfailed:\033[0m$$failed\n"; exit 1; fi

train-env: $(UV) ## Install the training environment (torch)
	$(call step,training environment)
	@UV_PROJECT_ENVIRONMENT=$(TRAIN) $(UV) sync --frozen --python $(PYTHON) --extra train

train: train-env ## Train the project's own models
	@$(BIN)/python -c 'from infra.demo import faces; [faces.picture(name) for name in faces.PICTURES]'
	@for model in text-moderation content-classification face-occlusion picture-kind; do $(TRAIN)/bin/python -m models.training $$model; done

test-faults: setup ## Break the system on purpose, most of an hour; writes docs/faults.md (needs root)
	@FAULTS_DOCUMENT=docs/faults.md $(BIN)/pytest -m "faults or faults_short" tests/faults tests/integration/processors/rebuild

test-hostile: setup ## Send the hostile corpus through the sandbox and through the running system
	@$(BIN)/pytest -o addopts='--import-mode=importlib --strict-markers -ra' -s tests/hostile

bench: setup bench-peers train-env ## Measure speed against peers; writes docs/bench
	@for bench in $(BENCHES); do $(BIN)/python -m tests.bench.$$bench; done
	@$(TRAIN)/bin/python -m tests.bench.ranker

# Quix Streams pins another confluent-kafka than ours, so the peers live in an environment of their own
bench-peers: $(UV)
	@FOR_BENCH=1 PYTHON=$(PYTHON) bash infra/local/system.sh
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/.overture/bench $(UV) sync --frozen --project tests/bench/peers --python $(PYTHON)

fuzz: setup ## Fuzz every decoder, 100 000 cases each and by two engines (minutes; docs/fuzzing.md)
	@$(UV) sync --frozen --python $(PYTHON) --group fuzz
	@FUZZ_CASES=$(FUZZ_CASES) $(BIN)/pytest tests/fuzz
	@for target in envelope json form key; do $(BIN)/python -m tests.fuzz.coverage_guided $$target -runs=100000; done

test-train: train-env ## Test the training code (torch)
	@$(TRAIN)/bin/pytest -o addopts= --import-mode=importlib tests/training

check-deploy: env .overture/tools/helm .overture/tools/keda ## Render the Helm chart and validate all that others deploy from
	@$(BIN)/python -m infra.deployment check

# needs Go and npm: nobody ships Helm where Debian or Python could install it from
.overture/tools/helm:
	$(call step,Helm $(HELM_VERSION) from source)
	@GOBIN=$(abspath $(@D)) go install helm.sh/helm/v3/cmd/helm@v$(HELM_VERSION)

.overture/tools/keda:
	$(call step,schemas of KEDA)
	@npm install --silent --no-audit --no-fund --prefix $@ @kubernetes-models/keda@$(KEDA_MODELS)

models: env .overture/stamps/models ## Build the model weights

setup: system env jars models ## Install everything without starting it

browser: ## Install Chromium for the tests of the page
	@FOR_TESTS=1 PYTHON=$(PYTHON) bash infra/local/system.sh

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
