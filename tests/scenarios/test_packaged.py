"""The package's scenarios: all load, their splits have nothing in common, sizes are calibrated."""

import numba
import numpy as np
import pytest

from tdx_env.engine.batch import Batch
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import SPLITS, Range, Scenario, load, names
from tdx_env.scenarios.checks import COST_NAMES
from tdx_env.state.discipline import Action
from tdx_env.state.world import End

SLUGS = sorted({name.partition("/")[0] for name in names()})
PAIRS = [("train", "validation"), ("train", "test"), ("validation", "test")]
BANDS = {"train": (0, 1, 4, 5, 8, 9), "validation": (2, 7), "test": (3, 6)}
SIZES = {"count", "items", "chunk"}
RATES = {"think_cycles", "tick_us", "device_us", "hold_us"}


def ranges(scenario: Scenario, fields: set[str]) -> dict[str, Range]:
    """Return the ranges of such fields of groups and tasks, by key."""
    found = {}
    for kind, tables in (("groups", scenario.groups), ("tasks", scenario.tasks)):
        for name, table in tables.items():
            for field in fields & set(type(table).model_fields):
                value = getattr(table, field)
                if isinstance(value, int):
                    value = Range(low=value, high=value)
                if isinstance(value, Range):
                    found[f"{kind}.{name}.{field}"] = value
    return found


def are_disjoint(some: dict[str, Range], others: dict[str, Range]) -> bool:
    """Say whether at least one key's ranges have no value in common."""
    return any(
        some[key].high < others[key].low or others[key].high < some[key].low
        for key in some.keys() & others.keys()
    )


@pytest.mark.parametrize("name", names())
def test_every_scenario_loads_under_its_name(name):
    assert load(name).name == name


@pytest.mark.parametrize("slug", SLUGS)
def test_the_slug_begins_with_the_family(slug):
    assert load(slug).family == f"S{int(slug[1:3])}"


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("pair", PAIRS)
def test_splits_differ_in_a_size(slug, pair):
    some, others = (load(f"{slug}/{split}") for split in pair)
    sizes = ranges(some, SIZES) | {"n_vcpus": some.host.n_vcpus}
    assert are_disjoint(sizes, ranges(others, SIZES) | {"n_vcpus": others.host.n_vcpus})


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("pair", PAIRS)
def test_splits_differ_in_a_rate(slug, pair):
    some, others = (ranges(load(f"{slug}/{split}"), RATES) for split in pair)
    assert are_disjoint(some, others)


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("split", SPLITS)
def test_splits_have_their_own_bands_of_the_costs(slug, split):
    assert load(f"{slug}/{split}").cost_bands == BANDS[split]


def test_a_test_scenario_has_few_vcpus():
    assert any(load(name).host.n_vcpus.high <= 4 for name in names("test"))


def test_every_cost_has_a_source():
    costs = load("s22-clean").costs
    assert set(costs) == set(COST_NAMES)
    assert {cost.source for cost in costs.values()} <= {"measured", "derived", "stated", "guessed"}


@pytest.mark.slow
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="whole episodes take minutes uncompiled")
@pytest.mark.parametrize("name", names())
def test_decisions_of_an_episode_are_as_the_file_says(name):
    """Blind retry, the default discipline: the median lies in the range, every episode ends."""
    scenario = load(name)
    batch = Batch(scenario.setup(), DEFAULT.record(), 24)
    batch.reset(np.arange(24))
    batch.advance()
    while batch.waiting.any():
        batch.advance(actions=np.full(24, Action.RETRY))
    assert (batch.run["end"] == End.FINISHED).all()
    assert scenario.decisions is not None
    median = np.median(batch.run["n_decisions"])
    assert scenario.decisions.low <= median <= scenario.decisions.high
