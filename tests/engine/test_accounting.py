"""Every cycle has one place, the work is fixed, and nobody looks good by doing less."""

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdx_agents import catalogue
from tdx_agents import load as load_policy
from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import episode_metrics
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import load, names, setup_of
from tdx_env.scenarios.groups import Running
from tdx_env.state.accounting import IS_OVERHEAD, IS_WASTE, Category
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.owners import Owner
from tdx_env.state.world import End
from tests.strategies import random_discipline

# Episodes of some milliseconds, or tenths of a second with the compiler off.
QUICK = [name for name in names() if not name.startswith("s06")]
# All but those that take long and one that a single policy of the catalogue finishes.
LONG = {f"s06-conversion-{which}/train" for which in ("248", "248-calm", "calm")}
WORKING = sorted({*names("train")} - LONG - {"s14-split-storm/train"})
LARGE = 48  # vCPUs; of the policies every third plays a larger TD
N_EXAMPLES = settings.default.max_examples  # the profile's
if numba.config.DISABLE_JIT:
    QUICK = WORKING = ["s08-accept-2m/train", "s22-clean/test"]
SEEDS = st.integers(0, (1 << 63) - 1)


def disciplines() -> st.SearchStrategy[np.ndarray]:
    """Return a strategy for disciplines, the default among them."""
    drawn = st.integers(0, (1 << 32) - 1).map(np.random.default_rng).map(random_discipline)
    return st.just(DEFAULT.record()) | drawn.map(lambda one: np.array([one]))


def played(name: str, discipline: Any, seed: int, actions: np.random.Generator | None) -> Batch:
    """Return a batch with one episode, played by random actions or the compiled lottery."""
    batch = Batch(setup_of(load(name)), discipline)
    batch.reset([seed])
    if actions is None:
        batch.advance(load_policy("random").decide)
    batch.advance()
    while batch.waiting[0]:
        assert actions is not None
        batch.advance(actions=[int(actions.integers(N_ACTIONS))])
    return batch


def booked(batch: Batch) -> np.ndarray:
    """Return the cycles of each thread by category, shape (n_threads, N_CATEGORIES)."""
    n_threads = int(batch.run["n_actors"][0])
    return batch.world(0).actors["row"]["booked"][:n_threads]


@given(st.sampled_from(QUICK), disciplines(), SEEDS, st.none() | st.integers(0, 99))
def test_cycles_of_each_cpu_sum_to_the_elapsed_time(name, discipline, seed, action_seed):
    """Whatever the host does and whoever decides, masked actions included."""
    actions = None if action_seed is None else np.random.default_rng(action_seed)
    batch = played(name, discipline, seed, actions)
    cycles = booked(batch)
    assert cycles.min() >= 0
    assert (cycles.sum(axis=1) == batch.run["now"][0]).all()


@given(st.sampled_from(QUICK), disciplines(), SEEDS)
def test_cost_is_the_waste_of_all_cpus_and_the_penalties(name, discipline, seed):
    batch = played(name, discipline, seed, None)
    run = batch.run[0]
    total = booked(batch).sum(axis=0)
    assert run["waste"] == (total * IS_WASTE).sum()
    assert run["overhead"] - run["populate_cycles"] == (total * IS_OVERHEAD).sum()
    is_finished = run["end"] == End.FINISHED
    tail = 0 if is_finished else run["n_cpus"] * max(0, run["time_cap"] - run["now"])
    assert run["tail_cost"] == tail
    assert batch.costs[0] == run["waste"] + run["preempt_penalty"] + tail


@settings(max_examples=N_EXAMPLES)
@given(st.sampled_from(QUICK), disciplines(), SEEDS)
def test_overhead_is_the_hosts_the_guests_and_hostile_guests(name, discipline, seed):
    """Exactly; and waste is what is left of it without TRACK's kicks and populating."""
    run = played(name, discipline, seed, None).run[0]
    owned, track = run["owned"], run["track"]
    assert owned[Owner.NOBODY] == track[Owner.NOBODY] == 0
    assert owned.sum() == run["overhead"]
    assert run["waste"] == owned.sum() - track.sum() - run["populate_cycles"]
    assert (track <= owned).all()
    hostile = [group.hostile for group in load(name).groups.values() if isinstance(group, Running)]
    assert any(hostile) or owned[Owner.HOSTILE] == 0


@settings(max_examples=N_EXAMPLES // 2)
@given(st.sampled_from(QUICK), disciplines(), SEEDS)
def test_penalties_grow_as_the_limit_shrinks(name, discipline, seed):
    run = played(name, discipline, seed, None).run[0]
    assert run["preempt_50us"] >= run["preempt_1ms"] == run["preempt_penalty"] >= 0


def test_what_hostile_vcpus_lose_is_their_own_fault():
    run = played("s10-hostile-2m/train", DEFAULT.record(), 1, None).run[0]
    assert run["owned"][Owner.HOSTILE] > run["owned"][Owner.STOLEN] > 0


def test_off_cpu_time_is_no_waste_if_the_scenario_says_so():
    """Semantics 2.3: `yield_weight` 0 leaves YIELD out, and changes nothing else."""
    found = []
    for weight in (0, 1):
        scenario = load("s08-accept-2m/train", {"limits.yield_weight": weight})
        record = DEFAULT.with_(zap_yield=True).record()
        batch = Batch(setup_of(scenario), record)
        batch.reset([3])
        batch.advance()
        while batch.waiting[0]:
            batch.advance(actions=[2])
        found.append(batch)
    yielded = booked(found[0]).sum(axis=0)[Category.YIELD]
    assert yielded > 0
    assert found[1].costs[0] - found[0].costs[0] == yielded
    assert (booked(found[0]) == booked(found[1])).all()


@settings(max_examples=N_EXAMPLES // 2)
@given(st.sampled_from(QUICK), SEEDS, st.integers(0, 99))
def test_cost_never_falls(name, seed, action_seed):
    actions = np.random.default_rng(action_seed)
    batch = Batch(setup_of(load(name)), DEFAULT.record())
    batch.reset([seed])
    batch.advance()
    last = 0
    while batch.waiting[0]:
        assert batch.costs[0] >= last
        last = batch.costs[0]
        batch.advance(actions=[int(actions.integers(N_ACTIONS))])
    assert batch.costs[0] >= last


# --- pairing: one seed is one machine and one work


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKING)
def test_all_policies_that_finish_have_done_the_same_work(name):
    """Draws are keyed by seed, actor and work item: no policy shifts another's work."""
    n_seeds = 1 if numba.config.DISABLE_JIT else 2
    work, machine, n_finished = set(), set(), 0
    for policy in catalogue()[:: 3 if load(name).host.n_vcpus.high > LARGE else 1]:
        batch = Batch(setup_of(load(name)), policy.discipline.record(), n_seeds)
        batch.reset(range(n_seeds))
        batch.advance(policy.decide)
        for index, run in enumerate(batch.run):
            machine.add((index, run["costs"].tobytes(), run["group_drawn"].tobytes()))
            if run["end"] == End.FINISHED:
                n_finished += 1
                done = (int(run["guest_items"]), int(run["task_items"]), int(run["work_total"]))
                assert done[0] + done[1] == done[2]
                work.add((index, done))
    assert len(machine) == n_seeds
    assert len(work) == n_seeds
    assert n_finished > n_seeds


@settings(max_examples=N_EXAMPLES // 4)
@given(st.sampled_from(QUICK), disciplines(), SEEDS)
def test_who_does_not_finish_has_done_less(name, discipline, seed):
    run = played(name, discipline, seed, None).run[0]
    is_all = run["guest_items"] + run["task_items"] == run["work_total"]
    assert is_all == (run["end"] == End.FINISHED)
    assert run["work_done"] == run["guest_items"] + run["task_items"]


def test_killed_episode_costs_as_if_every_cpu_were_wasted_to_the_cap():
    policy = load_policy("P1")
    for seed in range(20):
        batch = Batch(setup_of(load("s08-accept-2m/train")), policy.discipline.record())
        batch.reset([seed])
        batch.advance(policy.decide)
        metrics = episode_metrics(batch, 0)
        if metrics["killed"]:
            left = int(batch.run["time_cap"][0]) - metrics["elapsed_cycles"]
            assert metrics["tail_cost_cycles"] == left * metrics["n_cpus"]
            assert metrics["total_cost"] > metrics["tail_cost_cycles"] > 0
            return
    raise AssertionError("nobody was killed")
