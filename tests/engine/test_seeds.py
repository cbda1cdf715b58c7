"""The module that an episode meets is drawn from its seed, by a stream of its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import module_drawn
from tdx_env.engine.seeds import versions_drawn
from tdx_env.host.discipline import DEFAULT
from tdx_env.module.versions import MODULE_VERSIONS, TRAINED_VERSIONS
from tdx_env.scenarios import load, setup_of
from tests.oracles.versions import drawn

SETS = st.integers(1, (1 << len(MODULE_VERSIONS)) - 1)
SEEDS = st.integers(0, (1 << 63) - 1)
NAMES = tuple(MODULE_VERSIONS)


def batch_of(versions: str | list[str], n_worlds: int) -> Batch:
    """Return episodes of a small scenario at their start."""
    scenario = load("s22-clean/test", {"module.version": versions})
    batch = Batch(setup_of(scenario), DEFAULT.record(), n_worlds)
    batch.reset(np.arange(n_worlds))
    return batch


@given(seed=SEEDS, allowed=SETS)
def test_a_version_is_drawn_as_the_oracle_draws_it(seed, allowed):
    place = versions_drawn(np.array([seed], np.uint64), np.array([allowed]))[0]
    assert NAMES[place] == drawn(seed, allowed)
    assert allowed >> place & 1


def test_all_versions_of_a_list_are_as_likely():
    seeds = np.arange(30_000, dtype=np.uint64)
    counts = np.bincount(versions_drawn(seeds, np.full(len(seeds), 0b1110)))
    assert counts.tolist() == pytest.approx([0, 10_000, 10_000, 10_000], abs=350)  # 4 sigma


def test_worlds_of_one_scenario_meet_different_modules():
    batch = batch_of(list(TRAINED_VERSIONS), 24)
    assert {module_drawn(batch, world) for world in range(24)} == set(TRAINED_VERSIONS)


def test_a_world_follows_the_rules_of_the_module_that_it_has_drawn():
    batch = batch_of(["1.5.06", "1.5.34"], 8)
    for world in range(8):
        is_new = module_drawn(batch, world) == "1.5.34"
        assert batch.world(world).program["commits_keep_mark"] == is_new


def test_drawing_a_module_moves_no_other_draw():
    """An episode is the same whether its version was drawn or named."""
    from_list, named = (batch_of(versions, 1) for versions in (["1.5.28", "1.5.34"], "1.5.34"))
    seed = next(seed for seed in range(99) if drawn(seed, 0b1100) == "1.5.34")
    for batch in (from_list, named):
        batch.reset([seed])
        batch.advance()
    assert from_list.run.tobytes() == named.run.tobytes()


def test_a_snapshot_remembers_the_module():
    batch = batch_of(list(TRAINED_VERSIONS), 3)
    batch.reset([1, 2, 3])
    kept, before = batch.snapshot(), batch.run["module_version"].tolist()
    other = batch_of(list(TRAINED_VERSIONS), 3)
    other.reset([7, 8, 9])
    other.restore(kept)
    assert other.run["module_version"].tolist() == before
    programs = [other.world(world).program["commits_keep_mark"] for world in range(3)]
    assert programs == [NAMES[place] != "1.5.06" for place in before]
