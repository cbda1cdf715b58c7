# Everything a newcomer needs: `make demo` and `make test`. Each makes .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= out
SEEDS ?= 40
SEEDS_LARGE ?= 8

# What the suite is run on once more, in other ways of running the same code: the rules of the module, KVM's
# chains, the environment.
REPEATED := tests/module tests/state tests/host tests/engine tests/scenarios/test_loader.py tests/test_spaces.py tests/test_jit.py tests/agents/test_network.py
REPEAT := $(BIN)/python -m pytest -n 2 -m "not slow" --hypothesis-profile=quick

.PHONY: demo test quick lint types plain bounds check bench clean
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

quick: $(STAMP) # the tests that take less than a second each, with few examples
	$(REPEAT)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

plain: $(STAMP) # the same code, not compiled
	NUMBA_DISABLE_JIT=1 $(REPEAT) $(REPEATED)

bounds: $(STAMP) # the same code, every index checked
	NUMBA_BOUNDSCHECK=1 $(REPEAT) $(REPEATED)

check: lint types test plain bounds

bench: $(STAMP)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) $(OUT) build *.egg-info
