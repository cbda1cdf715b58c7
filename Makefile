# Everything a newcomer needs: `make demo` and `make test`. Each makes .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= out
SEEDS ?= 40
SEEDS_LARGE ?= 8

.PHONY: demo test check bench clean
.DELETE_ON_ERROR:

$(STAMP): constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,eval,dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/tdx-train --config demo --out $(OUT)/agent --overwrite
	$(BIN)/tdx-eval compare --scenarios test --policies all --agent $(OUT)/agent --seeds $(SEEDS) --seeds-large $(SEEDS_LARGE) --out $(OUT)/report --overwrite

test: $(STAMP)
	$(BIN)/python -m pytest -n 2

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2

bench: $(STAMP)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) $(OUT) build *.egg-info
