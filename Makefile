# Everything starts here. `make demo` on a fresh machine sets up first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
ACTIVATE := source ./env.sh
# A domain of its own, so that tests neither hear nor disturb other ROS nodes on the network.
TEST_DOMAIN := $(shell echo $$((RANDOM % 100 + 1)))

.PHONY: help setup demo test check clean

help: ## show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## make or repair the environment (.venv, ros2_ws)
	@scripts/setup.sh

demo: ## record, pretrain, train and evaluate in simulation; ARGS are given to `dynamo demo`
	@start=$$SECONDS; scripts/setup.sh && $(ACTIVATE) && \
	DYNAMO_SETUP_SECONDS=$$((SECONDS - start)) dynamo demo $(ARGS)

test: setup ## run all tests; ARGS are given to pytest, such as ARGS='-m "not slow"'
	@$(ACTIVATE) && ROS_DOMAIN_ID=$(TEST_DOMAIN) python -m pytest $(ARGS)

check: setup ## lint, format check and types
	@$(ACTIVATE) && ruff check && ruff format --check && mypy

clean: ## delete the environment and everything built; bags and runs stay
	@rm -rf .venv .setup .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find ros2_ws -mindepth 1 -maxdepth 1 ! -name src -exec rm -rf {} +
