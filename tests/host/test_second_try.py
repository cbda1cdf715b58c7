"""What a busy caller should do on today's module: the advice that its lock regime gives.

Source: TDX module 1.5.34, tdx_locks.h (who is refused by a mark), sept_manager.c (commits keep it),
td_exit_stepping.c (armed VP.ENTER), helpers.c, check_host_interrupt_and_hp_bit (lists yield).
"""

import functools

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import load, setup_of
from tdx_env.state.calls import Leaf, Lock
from tdx_env.state.discipline import Action
from tdx_env.state.world import CELL_LOCKS, DECISION, N_CALLS, N_HOLDERS, End

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes uncompiled")

OLD, TODAY = "1.5.06", "1.5.34"
N_WORLDS, N_TRACED = 4, 4_096
HELD_2M, HELD_4K, ARMED = "s08-accept-2m/test", "s10-hostile/test", "s03-zero-step/test"
EXPORT, CREATION = "s15-export/test", "s19-build-vp-init-v1/test"
WITHOUT_GATE = DEFAULT.with_(gate_scope="nothing")


@functools.cache
def played(scenario: str, module: str, action: Action, has_gate: bool = True) -> Batch:
    """Play episodes in which every busy reply has one answer."""
    discipline = DEFAULT if has_gate else WITHOUT_GATE
    setup = setup_of(load(scenario, {"module.version": module}))
    batch = Batch(setup, discipline.record(), N_WORLDS, n_decisions_traced=N_TRACED)
    batch.reset(np.arange(N_WORLDS))
    batch.advance()
    while batch.waiting.any():
        allowed = batch.masks[:, action] != 0
        batch.advance(actions=np.where(allowed, action, Action.RETRY))
    assert (batch.run["end"] == End.FINISHED).all()
    return batch


def asked(batch: Batch, leaf: Leaf, operand: int) -> NDArray[np.void]:
    """Return the decisions about a call's busy replies that name an operand, dtype DECISION."""
    parts = [np.zeros(0, DECISION)]
    for world in range(N_WORLDS):
        n_traced = int(batch.run["n_decisions_traced"][world])
        rows = batch.world(world).decisions["decision"][:n_traced]
        parts.append(rows[(rows["leaf"] == leaf) & (rows["operand"] == operand)].copy())
    return np.concatenate(parts)


def n_busy(batch: Batch, leaf: Leaf, holders: tuple[Leaf, ...], lock: Lock) -> int:
    """Return how often a call found a lock held by one of some calls."""
    cells = batch.run["cells"].reshape(N_WORLDS, N_CALLS, N_HOLDERS, len(CELL_LOCKS), 2)
    return int(cells[:, leaf, holders, CELL_LOCKS.index(lock), 0].sum())


def test_a_kick_for_a_2m_entry_needs_no_gate():
    """The ACCEPT that is interrupted keeps the mark, and is refused when it comes back."""
    issues = asked(played(HELD_2M, TODAY, Action.KICK, has_gate=False), Leaf.MEM_RANGE_BLOCK, 1)
    assert set(issues["issues"]) == {1}


def test_a_kick_for_a_2m_entry_loses_the_race_where_accept_erases_the_mark():
    issues = asked(played(HELD_2M, OLD, Action.KICK, has_gate=False), Leaf.MEM_RANGE_BLOCK, 1)
    assert issues["issues"].max() > 1


def test_a_kick_shortens_what_a_2m_entry_is_held():
    """ACCEPT looks for interrupts after each 4K page, so a kick saves tries."""
    kicked, retried = (
        asked(played(HELD_2M, TODAY, action), Leaf.MEM_RANGE_BLOCK, 1)
        for action in (Action.KICK, Action.RETRY)
    )
    assert len(kicked) < len(retried)


@pytest.mark.parametrize("leaf", [Leaf.MEM_RANGE_BLOCK, Leaf.MEM_PAGE_REMOVE, Leaf.MEM_PAGE_AUG])
def test_at_4k_a_few_tries_outlast_a_guest(leaf):
    """Once refused, a host call waits for the holder at most: no guest gets in between."""
    issues = asked(played(HELD_4K, TODAY, Action.RETRY), leaf, 1)
    assert len(issues) == 0 or issues["issues"].max() <= 8


@pytest.mark.parametrize(
    "leaf", [Leaf.MEM_SEPT_ADD, Leaf.MEM_PAGE_AUG, Leaf.MEM_PAGE_REMOVE, Leaf.MEM_PAGE_DEMOTE]
)
def test_what_shares_the_tree_meets_no_armed_vcpu(leaf):
    assert n_busy(played(ARMED, TODAY, Action.RETRY), leaf, (Leaf.VP_ENTER,), Lock.TREE) == 0


def test_what_needs_the_tree_alone_still_meets_armed_vcpus():
    batch = played(ARMED, TODAY, Action.RETRY)
    writers = (Leaf.MEM_RANGE_BLOCK, Leaf.MEM_RANGE_UNBLOCK)
    assert sum(n_busy(batch, leaf, (Leaf.VP_ENTER,), Lock.TREE) for leaf in writers) > 0


def test_armed_vcpus_meet_each_other_on_the_old_tree_alone():
    old, today = (
        n_busy(played(ARMED, module, Action.RETRY), Leaf.VP_ENTER, (Leaf.VP_ENTER,), Lock.TREE)
        for module in (OLD, TODAY)
    )
    assert (old > 0, today) == (True, 0)


def test_a_list_ends_for_a_block_that_waits():
    """1.5.28 is taken not to know that rule, which was not seen there."""
    lists = (Leaf.EXPORT_BLOCKW, Leaf.EXPORT_MEM)
    before, today = (
        n_busy(played(EXPORT, module, Action.RETRY), Leaf.MEM_RANGE_BLOCK, lists, Lock.TREE)
        for module in ("1.5.28", TODAY)
    )
    assert 0 < today < before / 4


def test_a_kick_for_a_list_or_for_a_creation_reaches_nobody_who_holds_the_lock():
    """The holders are host calls: the answer changes nothing of what the caller waits."""
    batch = played(CREATION, TODAY, Action.KICK)
    assert batch.run["n_ipis"].sum() == 0
    assert n_busy(batch, Leaf.MEM_RANGE_BLOCK, (Leaf.VP_INIT,), Lock.TDR) > 0


@pytest.mark.parametrize("scenario", [HELD_2M, HELD_4K, ARMED])
def test_behind_a_kick_and_a_gate_no_guest_keeps_a_zap(scenario):
    """Not on an entry, not on the tree, not on the epoch: a third issue is never needed."""
    batch = played(scenario, TODAY, Action.KICK)
    for leaf in (Leaf.MEM_RANGE_BLOCK, Leaf.MEM_TRACK, Leaf.MEM_PAGE_REMOVE):
        for operand in (1, 146, 169):
            assert set(asked(batch, leaf, operand)["issues"]) <= {1}
