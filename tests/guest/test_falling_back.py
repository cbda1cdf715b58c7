"""A guest whose ACCEPT is refused falls back, as Linux' does; and what the host makes of it."""

import numpy as np
import pytest

from tdx_env.engine.batch import Batch
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.scenarios import load, setup_of
from tdx_env.state.calls import Leaf, Outcome
from tdx_env.state.discipline import Action
from tdx_env.state.world import End

MARK = "s26-abandoned-mark/train"
REPEATS = "s26-abandoned-mark-repeats/train"
FEW = {
    "host.n_vcpus": 3,
    "groups.acceptors.items": 12,
    "tasks.filler.items": 12,
    "tasks.second.items": 12,
}
SEED = 1
SHARED_2M = """
schema_version = 1
name = "shared"
family = "own"
title = "a test"
description = "Two vCPUs accept the same 2M pages."
host.n_vcpus = 2
limits = { stall_us = 500_000, time_cap_us = 50_000_000, reward_scale = 1_000 }
areas.ram.initial = "pending_2m"

[groups.acceptors]
program = "accept"
when_refused = "fall_back"
count = 2
area = "ram"
level = 1
layout = "shared"
items = 3
think_cycles = 1_000
"""


def played(name: str, action: Action, discipline: Discipline = DEFAULT, **given: object) -> Batch:
    """Return an episode in which every busy reply is answered alike."""
    changed = {key.replace("__", "."): value for key, value in given.items()}
    batch = Batch(setup_of(load(name, FEW | changed)), discipline.record())
    batch.reset([SEED])
    batch.advance()
    while batch.waiting.any():
        batch.advance(actions=np.array([action]))
    return batch


def test_busy_aug_that_is_given_up_leaves_a_mark_at_which_the_guest_panics():
    run = played(MARK, Action.YIELD).run[0]
    assert run["end"] == End.KILLED
    assert run["kill_leaf"] == Leaf.ACCEPT
    assert run["kill_outcome"] == Outcome.OPERAND_BUSY_HOST_PRIORITY
    assert run["n_abandoned"] == run["n_guest_busy"] == 1


def test_busy_aug_that_is_repeated_leaves_none():
    run = played(MARK, Action.RETRY).run[0]
    assert (run["end"], run["n_guest_busy"]) == (End.FINISHED, 0)
    assert run["n_busy"] > 0


@pytest.mark.parametrize("version", ["1.5.01", "1.5.06"])
def test_older_modules_erase_the_mark_when_aug_commits(version):
    run = played(MARK, Action.YIELD, module__version=version).run[0]
    assert (run["end"], run["n_abandoned"]) == (End.FINISHED, 0)
    assert run["n_busy"] > 0


def test_frozen_spte_keeps_two_augs_apart():
    run = played(MARK, Action.YIELD, host__freezes_sptes=True).run[0]
    assert (run["end"], run["n_busy"]) == (End.FINISHED, 0)


def test_guest_that_repeats_is_refused_until_the_module_ends_it():
    """The time-out is set to its least, 10 ms, so that the test is short."""
    run = played(REPEATS, Action.YIELD, module__hp_timeout_us=10_000).run[0]
    assert run["end"] == End.KILLED
    assert run["kill_leaf"] == Leaf.VP_ENTER
    assert run["kill_outcome"] == Outcome.HOST_PRIORITY_BUSY_TIMEOUT
    assert run["now"] > 10_000 * 2_500


def test_guest_that_is_entered_again_finds_the_mark_where_it_was():
    given = {"module__hp_timeout_us": 10_000, "limits__stall_us": 30_000}
    run = played(REPEATS, Action.YIELD, host__timeout_exit="enter", **given).run[0]
    assert run["end"] == End.HUNG


def test_refused_2m_page_falls_to_4k_pages_and_is_accepted(tmp_path):
    """One ACCEPT holds the 2M entry; the other vCPU's 4K ones end above any lock, and split it."""
    path = tmp_path / "shared.toml"
    path.write_text(SHARED_2M)
    batch = Batch(setup_of(load(path)), DEFAULT.record())
    batch.reset([SEED])
    batch.advance()
    while batch.waiting.any():
        batch.advance(actions=np.array([Action.RETRY]))
    run = batch.run[0]
    assert run["end"] == End.FINISHED
    assert run["n_guest_busy"] > 0
    assert run["n_splits"] > 0
