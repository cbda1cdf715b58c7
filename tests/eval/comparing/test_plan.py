"""The number of seeds of each scenario."""

import numba
import pytest

from tdx_env.scenarios import Scenario, load
from tdx_eval.comparing.plan import REFERENCE, Plan, large_among
from tdx_eval.comparing.seeds import FIRST_SEED
from tdx_eval.comparing.yardsticks import load_policy

SMALL, LARGE = "s22-clean/test", "s09-accept-4k/test"


def loaded(*names: str) -> dict[str, Scenario]:
    """Return scenarios by name."""
    return {name: load(name) for name in names}


def plan(n_large_seeds: int | None) -> Plan:
    """Return a plan of a small and a large scenario."""
    validation = loaded("s22-clean/validation", "s09-accept-4k/validation")
    large = [LARGE, "s09-accept-4k/validation"]
    return Plan({}, {}, loaded(SMALL, LARGE), validation, 800, {}, n_large_seeds, large)


def test_large_scenarios_have_seeds_of_their_own_number():
    first = FIRST_SEED["test"]
    assert plan(50).seeds("test") == {
        SMALL: range(first, first + 800),
        LARGE: range(first, first + 50),
    }


def test_all_scenarios_have_as_many_seeds_unless_said():
    assert {len(seeds) for seeds in plan(None).seeds("test").values()} == {800}


def test_validation_has_an_eighth_but_ten_at_least():
    assert [len(seeds) for seeds in plan(50).seeds("validation").values()] == [100, 10]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without")
def test_scenario_is_large_by_its_events():
    assert large_among(loaded(SMALL, LARGE), load_policy(REFERENCE)) == [LARGE]
