"""Episodes side by side: alone or together, in one thread or several, restored or not."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_agents import load as load_policy
from tdx_env.engine.batch import SKIP, Batch
from tdx_env.engine.metrics import episode_metrics
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import load, setup_of
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.state.features import Feature

# A few quick scenarios of very different sizes: their records lie side by side in one memory.
MIXED = ["s08-accept-2m/train", "s22-clean/test", "s03-zero-step/test"]
if numba.config.DISABLE_JIT:
    MIXED = MIXED[:2]
BUSY = "s08-accept-2m/train"  # its seed 1 has decisions early and is short
SEED = 1
ROOT = Path(__file__).resolve().parents[2]
N_WORLDS = 6


def batch_of(names: list[str], n_worlds: int = N_WORLDS, **arguments: Any) -> Batch:
    """Return a batch of scenarios under the default discipline."""
    setups = np.concatenate([setup_of(load(name)) for name in names])
    return Batch(setups, DEFAULT.record(), n_worlds, **arguments)


def waiting_batch() -> Batch:
    """Return a batch whose one world waits for its first decision."""
    batch = batch_of([BUSY], 1)
    batch.reset([SEED])
    batch.advance()
    assert batch.waiting[0]
    return batch


def random_steps(batch: Batch, generator: np.random.Generator, n_steps: int) -> list[Any]:
    """Take random steps; return all that can be seen after each."""
    seen = []
    for _ in range(n_steps):
        batch.advance(actions=generator.integers(0, N_ACTIONS, batch.n_worlds))
        seen.append(state_of(batch))
    return seen


def state_of(batch: Batch) -> list[Any]:
    """Return all that a caller can see of a batch."""
    names = ("now", "end", "decision_actor", "n_events", "waste", "overhead", "n_decisions")
    seen = [batch.run[name].tolist() for name in names]
    return [*seen, batch.features.tolist(), batch.masks.tolist(), batch.costs.tolist()]


# --- snapshots


@given(st.integers(0, 1 << 40), st.integers(0, 20), st.integers(0, 99))
def test_restored_snapshot_replays_alike(seed, n_before, action_seed):
    """From any decision on, into the same worlds after whatever came then."""
    batch = batch_of(MIXED, 3)
    batch.reset([seed, seed + 1, seed + 2], [0, 1, len(MIXED) - 1])
    batch.advance()
    random_steps(batch, np.random.default_rng(0), n_before)
    kept, before = batch.snapshot(), state_of(batch)
    first = random_steps(batch, np.random.default_rng(action_seed), 10)
    random_steps(batch, np.random.default_rng(action_seed + 1), 10)
    batch.restore(kept)
    assert state_of(batch) == before
    assert random_steps(batch, np.random.default_rng(action_seed), 10) == first


def test_snapshot_restores_scenarios_too():
    """Worlds that play another scenario by now go back to the one they played."""
    batch = batch_of(MIXED, 2)
    batch.reset([1, 2], [0, 1])
    kept = batch.snapshot()
    batch.advance(load_policy("random").decide)
    ends = [episode_metrics(batch, index) for index in range(2)]
    batch.reset([1, 2], [1, 0])
    batch.advance(load_policy("random").decide)
    assert [episode_metrics(batch, index) for index in range(2)] != ends
    batch.restore(kept)
    batch.advance(load_policy("random").decide)
    assert [episode_metrics(batch, index) for index in range(2)] == ends


def test_snapshot_is_a_copy():
    batch = waiting_batch()
    kept = batch.snapshot()
    copies = [memory.copy() for memory in kept.memory]
    batch.advance(actions=[Action.KICK])
    for memory, copy in zip(kept.memory, copies, strict=True):
        assert np.array_equal(memory, copy)


def test_each_action_can_be_tried_from_one_instant():
    """What lookahead does: the same future under three actions, and under the first again."""
    batch = waiting_batch()
    kept, found = batch.snapshot(), []
    for action in (Action.RETRY, Action.KICK, Action.RETRY):
        batch.restore(kept)
        batch.advance(actions=[action])
        found.append(state_of(batch))
    assert found[0] == found[2] != found[1]


# --- worlds beside each other


@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_worlds_play_as_they_do_alone(n_threads):
    decide = load_policy("random").decide
    batch = batch_of(MIXED, n_threads=n_threads)
    rows = np.arange(N_WORLDS) % len(MIXED)
    batch.reset(range(N_WORLDS), rows)
    batch.advance(decide)
    for index, row in enumerate(rows):
        alone = batch_of([MIXED[row]], 1)
        alone.reset([index])
        alone.advance(decide)
        assert episode_metrics(alone, 0) == episode_metrics(batch, index)


def test_memory_of_an_earlier_episode_is_no_part_of_the_next():
    decide = load_policy("random").decide
    batch, fresh = batch_of(MIXED), batch_of(MIXED)
    rows = np.arange(N_WORLDS) % len(MIXED)
    batch.reset(range(100, 100 + N_WORLDS), rows[::-1])
    batch.advance(decide)
    for each in (batch, fresh):
        each.reset(range(N_WORLDS), rows)
        each.advance(decide)
    assert state_of(batch) == state_of(fresh)


def test_reset_of_some_worlds_leaves_the_others_alone():
    batch = batch_of(MIXED)
    rows = np.arange(N_WORLDS) % len(MIXED)
    batch.reset(range(N_WORLDS), rows)
    batch.advance()
    which = np.arange(N_WORLDS) % 2 == 0
    kept = batch.run[~which].tobytes()
    features = batch.features[~which].copy()
    batch.reset(np.full(N_WORLDS, 77), np.zeros(N_WORLDS, int), which)
    assert batch.run[~which].tobytes() == kept
    assert np.array_equal(batch.features[~which], features)
    assert (batch.run["now"][which] == 0).all()
    assert (batch.run["scenario"][which] == 0).all()


# --- actions


def test_world_without_an_action_waits_on():
    batch = waiting_batch()
    before = state_of(batch)
    for actions in (None, [NONE], [SKIP]):
        batch.advance(actions=actions)
        assert state_of(batch) == before


def test_skipped_world_is_not_even_begun():
    batch = batch_of([BUSY], 2)
    batch.reset([SEED, SEED])
    batch.advance(actions=[SKIP, NONE])
    assert batch.run["n_events"].tolist()[0] == 0 < batch.run["n_events"][1]


def test_ended_world_stays_as_it_is():
    batch = batch_of([BUSY], 1)
    batch.reset([SEED])
    batch.advance(load_policy("random").decide)
    before = state_of(batch)
    batch.advance(load_policy("random").decide, [Action.KICK])
    assert state_of(batch) == before
    assert batch.ended[0] and not batch.waiting[0]


def test_masked_action_is_executed_as_retry_and_counted():
    batch, other = waiting_batch(), waiting_batch()
    (masked,) = [action for action in Action if not batch.masks[0][action]]
    batch.advance(actions=[masked])
    other.advance(actions=[Action.RETRY])
    assert state_of(batch) == state_of(other)
    assert (batch.run["n_masked"][0], other.run["n_masked"][0]) == (1, 0)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_call_says_how_many_episodes_have_ended(n_threads):
    batch = batch_of(MIXED, n_threads=n_threads)
    batch.reset(range(N_WORLDS))
    counts = []
    while not batch.ended.all():
        n_ended = batch.advance(actions=np.zeros(N_WORLDS, np.int64))
        assert n_ended == batch.ended.sum()
        counts.append(n_ended)
    assert len(set(counts)) > 2
    assert batch.advance() == N_WORLDS


def test_world_without_a_decision_shows_none():
    """At the start and at the end: RETRY alone, no path."""
    batch = batch_of([BUSY], 1)
    batch.reset([SEED])
    for _ in range(2):
        assert batch.features[0][Feature.PATH] == NONE
        assert batch.features[0][Feature.N_VCPUS] == batch.run["n_vcpus"][0]
        assert batch.masks[0].tolist() == [action == Action.RETRY for action in Action]
        batch.advance(load_policy("random").decide)


@pytest.mark.parametrize("name", MIXED)
def test_decisions_from_outside_are_those_made_inside(name):
    """The same rule, asked by the kernel or by its caller."""
    decide = load_policy("random").decide
    inside, outside = batch_of([name], 1), batch_of([name], 1)
    for batch in (inside, outside):
        batch.reset([SEED])
    inside.advance(decide)
    outside.advance()
    while outside.waiting[0]:
        outside.advance(actions=[decide(outside.features[0])])
    assert episode_metrics(inside, 0) == episode_metrics(outside, 0)


# --- interrupts


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("events", [1, 7, 1000])
def test_returns_to_python_change_nothing(n_threads, events, monkeypatch):
    """With decisions inside and from outside, whatever the number of events in between."""
    found = []
    for each in (Batch.events_a_call, events):
        monkeypatch.setattr(Batch, "events_a_call", each)
        batch = batch_of(MIXED, n_threads=n_threads)
        batch.reset(range(N_WORLDS), np.arange(N_WORLDS) % 2)
        n_ended = [batch.advance(actions=[SKIP] + [NONE] * (N_WORLDS - 1))]
        found.append([random_steps(batch, np.random.default_rng(3), 10), n_ended])
        found[-1].append(batch.numbers.tolist())
        n_ended.append(batch.advance(load_policy("random").decide))
        found[-1].append([episode_metrics(batch, index) for index in range(N_WORLDS)])
    assert found[0] == found[1]


def test_actions_that_were_given_stay_as_they_were(monkeypatch):
    monkeypatch.setattr(Batch, "events_a_call", 1)
    batch = batch_of([BUSY], 2)
    batch.reset([SEED, SEED])
    actions = np.array([NONE, NONE])
    batch.advance(actions=actions)
    assert actions.tolist() == [NONE, NONE]


INTERRUPTED = """
import sys
from tests.engine.test_batch import MIXED, batch_of, load_policy

n_worlds, n_threads = 2000, int(sys.argv[1])
batch = batch_of(MIXED, n_worlds, n_threads=n_threads)
decide = load_policy("random").decide
batch.reset(range(n_worlds), [len(MIXED) - 1] * n_worlds)
try:
    print("begins", flush=True)
    batch.advance(decide)
except KeyboardInterrupt:
    first = int(batch.ended.sum())
    print(first < n_worlds and int(batch.ended.sum()) == first, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="Python can always be interrupted")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_keyboard_interrupts_a_long_compiled_stretch(n_threads):
    """Most of the episodes are yet to come, and no thread goes on with them."""
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "-c", INTERRUPTED, str(n_threads)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "begins"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline().strip() == "True"


# --- traces


def test_trace_is_kept_up_to_its_room():
    traces = []
    for room in (0, 10, 100_000):
        batch = batch_of([BUSY], 2, n_events_traced=room, n_decisions_traced=room)
        batch.reset([SEED, SEED + 1])
        batch.advance(load_policy("random").decide)
        n_kept = batch.run["n_traced"].tolist()
        assert n_kept == np.minimum(batch.run["n_events"], room).tolist()
        n_decided = batch.run["n_decisions_traced"].tolist()
        assert n_decided == np.minimum(batch.run["n_decisions"], room).tolist()
        kept = [batch.world(index).trace["event"][: n_kept[index]] for index in range(2)]
        traces.append([events.tolist() for events in kept])
    assert traces[0] == [[], []]
    assert traces[1] == [events[:10] for events in traces[2]]


def test_trace_is_in_order_of_time():
    batch = batch_of([BUSY], 1, n_events_traced=100_000)
    batch.reset([SEED])
    batch.advance(load_policy("random").decide)
    times = batch.world(0).trace["event"]["time"][: batch.run["n_traced"][0]]
    assert (np.diff(times) >= 0).all()
    assert times[-1] <= batch.run["now"][0]
