# `make help` lists the targets. The virtual environment .venv is made when it is missing or the requirements change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_DIR := runs/flagship
RUN_FLAGS := --dataset celeb_a --synthetic --schedule dst --epochs 10 --batch_size 64 --export
PYTEST_FLAGS ?= -n auto --maxprocesses 4 --dist loadfile

export TF_CPP_MIN_LOG_LEVEL ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test lint docs bench faults clean
.DELETE_ON_ERROR:

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## Train, export and evaluate the flagship experiment on synthetic CelebA, from the start each time
	rm -rf '$(RUN_DIR)'
	$(BIN)/python train.py $(RUN_FLAGS) --run_dir '$(RUN_DIR)'
	$(BIN)/python evaluate.py --run_dir '$(RUN_DIR)'

test: lint ## Lint, then run the tests
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

lint: $(VENV)/.installed-dev ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed-dev ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

bench: $(VENV)/.installed ## Run the quick benchmarks twice and write benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

faults: $(VENV)/.installed-dev ## Kill runs, damage checkpoints, fill the disk, and compare the resumed runs
	$(BIN)/python -m tests.faults.campaign

clean: ## Remove the virtual environment, runs and caches
	rm -rf $(VENV) runs build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements-dev.txt
	@touch $@
