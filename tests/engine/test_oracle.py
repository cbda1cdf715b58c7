"""The kernel agrees with the oracle, event by event, and the oracle with itself."""

from enum import IntEnum

import numba
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tdx_env.state.actors import CallPath, Exit, Purpose, State
from tdx_env.state.calls import Outcome
from tdx_env.state.discipline import Action, Exhaustion
from tdx_env.state.world import End
from tests.oracles.comparison import COUNTERS, RULES, always, by_lottery, compare
from tests.oracles.world import OracleWorld
from tests.strategies import batch_world, random_world, worlds

CHUNK = 50
# Uncompiled, a world takes 0.2 s, not 0.02 s.
N_CHUNKS, N_BATCH_CHUNKS = (4, 2) if numba.config.DISABLE_JIT else (20, 8)
N_COVERED = 2000
# No call of the simulation ends so.
UNREACHED = {
    Outcome.EPT_WALK_FAILED,
    Outcome.HOST_PRIORITY_BUSY_TIMEOUT,
    Outcome.OP_STATE_INCORRECT,
}
RARE = {Outcome.PREVIOUS_TLB_EPOCH_BUSY}  # two splits under mmu_lock for read, no lock for TRACK


@pytest.mark.parametrize("chunk", range(N_CHUNKS))
def test_kernel_agrees_with_the_oracle(chunk: int) -> None:
    """Events, decisions, features, bookings, counters and busy cells are equal."""
    for world_seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        found = compare(world_seed)
        assert not found, f"world {world_seed}: {found}"


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(N_BATCH_CHUNKS))
def test_kernel_agrees_with_the_oracle_about_batches(chunk: int) -> None:
    """Long chunks that are taken away in batches, decided or by a rule."""
    for world_seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        found = compare(world_seed, batch_world)
        assert not found, f"batch world {world_seed}: {found}"


@given(world=worlds())
def test_categories_sum_to_elapsed_time(world: tuple) -> None:
    oracle = OracleWorld(*world)
    oracle.run(by_lottery)
    assert [sum(row) for row in oracle.booked] == [oracle.now] * len(oracle.actors)


@given(world=worlds())
def test_same_seed_gives_same_events(world: tuple) -> None:
    first, second = OracleWorld(*world), OracleWorld(*world)
    first.run(by_lottery)
    second.run(by_lottery)
    assert first.events == second.events
    assert first.decisions == second.decisions


@given(world=worlds(), rule=st.sampled_from(RULES))
def test_finishing_runs_have_done_the_same_work(world: tuple, rule) -> None:
    """Whatever is decided: who finishes has finished everything."""
    first, second = OracleWorld(*world), OracleWorld(*world)
    assume(first.work_total > 0)  # no scenario is without work
    first.run(always(Action.RETRY))
    second.run(rule)
    assert (first.work_total, first.costs) == (second.work_total, second.costs)
    for oracle in (first, second):
        is_all = oracle.guest_items + oracle.task_items == oracle.work_total
        assert is_all == (oracle.end == End.FINISHED)


# All members of these enums are met, but for those that can't be, or hardly ever.
MET: dict[type[IntEnum], set[IntEnum]] = {
    State: set(State),
    Outcome: set(Outcome) - UNREACHED - RARE,
    Exhaustion: set(Exhaustion),
    Purpose: set(Purpose) - {Purpose.NONE},
    Exit: set(Exit),
    CallPath: set(CallPath),
    End: set(End) - {End.RUNNING, End.BROKEN},
}


@pytest.mark.slow
def test_random_worlds_reach_everything() -> None:
    """The comparison would be worth less if the worlds left a state or an outcome out."""
    missing, counters = {kind: set(members) for kind, members in MET.items()}, set(COUNTERS)
    for world_seed in range(N_COVERED):
        oracle = OracleWorld(*random_world(world_seed))
        oracle.run(RULES[world_seed % len(RULES)])
        for kind, members in oracle.met.items():
            missing[kind] -= members
            assert members <= MET[kind] | RARE, f"world {world_seed}"
        counters -= {name for name in counters if getattr(oracle, name) > 0}
        if not counters and not any(missing.values()):
            break
    assert (missing, counters) == ({kind: set() for kind in MET}, set())
