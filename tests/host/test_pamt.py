"""Dynamic PAMT: who takes the host's lock, what is counted, what a busy AUG pays."""

from typing import Any

import numpy as np
import pytest

from tdx_agents import load as load_policy
from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import episode_metrics
from tdx_env.scenarios import load, setup_of
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Spte
from tdx_env.state.costs import Cost
from tdx_env.state.setup import Pamt
from tdx_env.state.world import End

BOOT = "s01-boot-storm-region/train"  # vCPUs accept pages of one empty region
ZAP = "s05-zap-idle/train"
BUSY_AUG = "s18-noisy/train"  # AUG meets the tree lock of armed vCPUs
SEEDS = np.arange(4)


def played(scenario: str, way: Pamt, policy: str = "p20-merged-6.19", **costs: int) -> Batch:
    """Play a scenario with PAMT kept in a way, whatever its module knows."""
    setup = setup_of(load(scenario))
    setup["dynamic_pamt"] = way
    for name, cycles in costs.items():
        for end in ("cost_low", "cost_high"):
            setup[end][0][Cost[name]] = cycles
    chosen = load_policy(policy)
    batch = Batch(setup, chosen.discipline.record(), len(SEEDS))
    batch.reset(SEEDS)
    batch.advance(chosen.decide)
    assert (batch.run["end"] == End.FINISHED).all()
    return batch


def waited(batch: Batch) -> int:
    """Return what was spent waiting for the lock [cycles]."""
    n_actors = int(batch.run["n_actors"].min())
    booked = batch.actors["row"]["booked"][:, :n_actors, Category.PAMT_LOCK_WAIT]
    return int(booked.sum())


def entries(batch: Batch, index: int) -> tuple[Any, int]:
    """Return the S-EPT entries of a world, and the number of its first PD entry."""
    return batch.world(index).entries["row"], int(batch.run["first_pd"][index])


@pytest.mark.parametrize("way", [Pamt.LOCKED, Pamt.FAST])
@pytest.mark.parametrize("scenario", [BOOT, ZAP])
def test_a_block_counts_the_pages_that_are_there(scenario, way):
    batch = played(scenario, way)
    for index in range(len(SEEDS)):
        rows, first_pd = entries(batch, index)
        shift = int(batch.run["page_shift"][index])
        for region in range(first_pd >> shift):
            pages = rows["spte"][region << shift : (region + 1) << shift]
            in_flight = int((pages == Spte.FROZEN).sum())
            counted = int(rows["pamt"][first_pd + region])
            assert 0 <= counted - int((pages == Spte.PRESENT).sum()) <= in_flight


def test_every_page_and_table_that_comes_is_got_once_if_nothing_is_busy():
    batch = played(BOOT, Pamt.LOCKED)
    assert (batch.run["n_decisions"] == 0).any()
    for index in np.flatnonzero(batch.run["n_decisions"] == 0):
        rows, first_pd = entries(batch, int(index))
        n_pages = int((rows["spte"][:first_pd] == Spte.PRESENT).sum())
        n_tables = 3
        assert batch.run["n_pamt_gets"][index] == n_pages + n_tables


def test_the_first_page_of_a_block_needs_pamt_add_and_no_other():
    """One region, and the S-EPT pages' block."""
    assert (played(BOOT, Pamt.LOCKED).run["n_pamt_adds"] == 2).all()


def test_a_busy_aug_that_is_given_up_pays_another_get():
    """P20 unwinds and walks again; a call that is repeated in place keeps its page."""
    given_up = played(BUSY_AUG, Pamt.LOCKED)
    repeated = played(BUSY_AUG, Pamt.LOCKED, "p8-host-priority")
    assert (given_up.run["n_pamt_gets"] > repeated.run["n_pamt_gets"]).any()


def test_the_fast_path_spares_the_lock_but_for_a_blocks_first_page():
    long = {"PAMT_COUNT": 2_000, "PAMT_ADD": 100}
    locked, fast = (played(BOOT, way, **long) for way in (Pamt.LOCKED, Pamt.FAST))
    assert waited(locked) > 5 * waited(fast)
    assert (locked.run["n_pamt_adds"] == fast.run["n_pamt_adds"]).all()


def test_static_pamt_costs_nothing():
    batch = played(BOOT, Pamt.STATIC)
    assert waited(batch) == 0
    assert "dynamic_pamt" not in episode_metrics(batch, 0)


def test_metrics_say_what_the_gets_took():
    found = episode_metrics(played(BOOT, Pamt.LOCKED), 0)["dynamic_pamt"]
    assert found["pamt_get_max"] * found["n_pamt_gets"] >= found["pamt_get_cycles"] > 0
