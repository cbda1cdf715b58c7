"""Conversion in place: faults sleep for the file's lock until the chunk is through."""

from pathlib import Path

import numpy as np
import pytest

from tdx_agents import load as load_policy
from tdx_env.engine.batch import Batch
from tdx_env.errors import ScenarioError
from tdx_env.scenarios import load, setup_of
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Purge, State
from tdx_env.state.world import End

IN_PLACE = "s25-conversion-in-place/train"
KEY = "groups.converter.in_place"
N_TRACED = 400_000
SMALL = """
schema_version = 1
name = "in-place"
family = "own"
title = "a conversion in place"
description = "One vCPU converts, one accepts."

[host]
kernel = "7.4-queue"
n_vcpus = 2

[limits]
stall_us = 50_000
time_cap_us = 1_000_000
reward_scale = 1_000

[areas.ram]
initial = "mapped_4k"

[areas.fresh]
initial = "free"

[groups.converter]
program = "convert"
count = 1
area = "ram"
items = 2
chunk = 8
in_place = true

[groups.acceptor]
program = "accept"
count = 1
area = "fresh"
items = 100
"""


def played(scenario: str | Path, **overrides: object) -> Batch:
    """Play a scenario."""
    keys = {key.replace("__", "."): value for key, value in overrides.items()}
    policy = load_policy("p20-merged-6.19")
    setup = setup_of(load(scenario, keys))
    batch = Batch(setup, policy.discipline.record(), n_events_traced=N_TRACED)
    batch.reset([1])
    batch.advance(policy.decide)
    assert batch.run["end"][0] == End.FINISHED
    return batch


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return the file of a small scenario."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def booked(batch: Batch, category: Category) -> int:
    """Return what was booked to a category, of all actors [cycles]."""
    n_actors = int(batch.run["n_actors"][0])
    return int(batch.actors["row"]["booked"][0, :n_actors, category].sum())


def test_faults_sleep_instead_of_spinning(small):
    in_place, before = played(small), played(small, **{KEY.replace(".", "__"): False})
    assert booked(in_place, Category.YIELD) > 0 == booked(before, Category.YIELD)
    assert booked(in_place, Category.MMU_LOCK_WAIT) < booked(before, Category.MMU_LOCK_WAIT)


def test_a_conversion_in_place_makes_no_way_for_faults(small):
    """Nobody queues for mmu_lock, so that one flush of the shared EPT is enough for a chunk."""
    in_place, before = played(small), played(small, **{KEY.replace(".", "__"): False})
    assert in_place.run["n_write_locks"][0] == 2
    assert in_place.run["n_write_locks"][0] < before.run["n_write_locks"][0]


def test_pages_are_shared_when_the_conversion_is_over(small):
    purge = played(small).world(0).entries["row"]["purge"]
    assert (purge[:16] == Purge.USER).all()
    assert (purge[16:512] == Purge.PRIVATE).all()


def test_a_sleeper_tries_again_when_it_has_the_lock(small):
    """Its pass is stale: the sequence number of the invalidation has changed."""
    batch = played(small)
    trace = batch.world(0).trace["event"][: int(batch.run["n_traced"][0])]
    own = trace[trace["actor"] == 1]
    woken = np.flatnonzero(own["state"] == State.FILE_WAIT)
    assert len(woken) > 0
    following = set(own["state"][woken + 1].tolist())
    assert following <= {State.FAULT_SOFTWARE, State.RUN_LOOP}


@pytest.mark.parametrize("kernel", ["series-2024", "6.16", "6.18", "6.19"])
def test_a_kernel_that_cannot_is_told(kernel, small):
    with pytest.raises(ScenarioError, match=rf"{KEY} = true, must be false: KVM {kernel} can't"):
        load(small, {"host.kernel": kernel})
