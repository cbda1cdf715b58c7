# Everything a newcomer needs: `make demo` and `make test`. Each makes .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= out
SEEDS ?= 40
SEEDS_LARGE ?= 40
SCENARIOS ?= core/test
OBJECTIVE ?= cpu
# Of the hand-written policies those that differ where the demo plays; `make demo POLICIES=all SCENARIOS=test` takes all.
POLICIES ?= P1,P1-any,P2,P2b,P3,P4,P5,P6,P7,P8,P9,P10,P11,P12,P13,P14,P15,P16,P17,P18,P19,P20,P27,P28-4,P28-64,P29,$(FLUSH)
FLUSH := retry-batch-16,until-waits,greedy,root,tree-5-cpu,break-even,operand,always-retry,always-kick,always-yield

# In other ways of running the same code not all of the suite is worth its time: the rules of the module, policies,
# scenarios, the environment's inside; with them, random worlds in which the simulator is compared with its slow twin.
REPEATED := tests/module tests/host tests/engine --ignore=tests/engine/test_batch.py --ignore=tests/host/test_pamt.py
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal
QUICK := $(PYTEST) -m "not slow" --hypothesis-profile=quick

.PHONY: demo test quick thorough lint types plain bounds check docs bench clean
.DELETE_ON_ERROR:

$(STAMP): constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,eval,dev,docs]'
	touch $@

demo: $(STAMP)
	$(BIN)/tdx-train --config demo --out $(OUT)/agent --overwrite
	$(BIN)/tdx-eval compare --scenarios $(SCENARIOS) --policies $(POLICIES) --agent $(OUT)/agent --agent default --seeds $(SEEDS) --seeds-large $(SEEDS_LARGE) --objective $(OBJECTIVE) --out $(OUT)/report --overwrite

test: $(STAMP)
	$(PYTEST)

quick: $(STAMP) # the tests that take less than a second each, with few examples
	$(QUICK)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

plain: $(STAMP) # the same code, not compiled
	NUMBA_DISABLE_JIT=1 $(QUICK) $(REPEATED)

bounds: $(STAMP) # the same code, every index checked
	NUMBA_BOUNDSCHECK=1 $(QUICK) tests/engine tests/agents

thorough: $(STAMP) # all tests, with many examples
	$(PYTEST) --hypothesis-profile=thorough

check: lint types thorough plain bounds

docs: $(STAMP) # the pages of docs/ as a site, in out/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: $(STAMP)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) $(OUT) build *.egg-info
