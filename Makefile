# What can be done here. Each target first sets up what it needs in .venv: Python 3.10 or newer and make suffice.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
#: The tests whose expected texts are files in tests/golden.
GOLDEN = $$(grep -rl 'golden: Golden' --include='test_*.py' tests)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-guarded test-deep mutants check golden bench clean

help:  ## this list
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "PYTHON=... chooses the interpreter of the virtual environment, $(VENV)."

demo: $(VENV)/has-demo  ## train a conv net on real digits, eagerly and compiled, and compare (two minutes)
	$(BIN)/python examples/train_digits.py $(ARGS)

test: $(VENV)/has-test  ## run the tests; ARGS="-k conv2d" chooses some
	$(BIN)/python -m pytest -n auto $(ARGS)

test-guarded: $(VENV)/has-test  ## the tests of compiled code, its memory between pages that cannot be touched
	for place in end begin; do LUCID_GUARD=$$place $(BIN)/python -m pytest -n auto $(ARGS) || exit 1; done

test-deep: $(VENV)/has-test  ## 100,000 generated convolutions and 10,000 graphs; ARGS="--graphs 500 --first 2000"
	$(BIN)/python -m tests.generated $(ARGS)

mutants: $(VENV)/has-test $(VENV)/has-bench  ## seed bugs into a copy and see that tests notice (half an hour); ARGS="--only plan"
	$(BIN)/python -m tests.mutants $(ARGS)

check: $(VENV)/has-check  ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

golden: $(VENV)/has-test  ## rewrite the expected IR texts in tests/golden; look at the diff afterwards
	$(BIN)/python -m pytest -q --update-golden $(GOLDEN)
	@git --no-pager diff --stat -- tests/golden

bench: $(VENV)/has-bench  ## measure beside torch, onnxruntime, openvino, jax (large downloads); ARGS="--quick"
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## remove everything that was made here, the virtual environment too
	rm -rf $(VENV) build dist runs lucid_dumps .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the virtual environment ---
# .venv/has-EXTRA is there when the extra of pyproject.toml is installed, and older than pyproject.toml when it changed.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Lucid needs Python 3.10 or newer: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "This Python lacks venv; on Debian and Ubuntu: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

.PRECIOUS: $(BIN)/python
$(VENV)/has-%: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[$*]'
	@touch $@
