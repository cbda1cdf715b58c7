"""What the simulator's speed is compared with is the same model, event by event."""

import numba
import numpy as np
import pytest

from benchmarks.common import episode, load_common
from benchmarks.models import Events, HeapModel, parts_of
from benchmarks.simpy_model import SimpyModel
from tdx_env.state.actors import State
from tdx_env.state.world import End

SIZES = [1, 2, 8] if numba.config.DISABLE_JIT else [1, 2, 8, 64, 248]
N_TRACED = 1 << 20


def traced(n_vcpus: int) -> tuple[Events, Events, Events]:
    """Return the events of a short episode: the simulator's, the heap's and SimPy's."""
    batch, decide = episode(load_common(n_vcpus, n_items=2), n_events_traced=N_TRACED)
    parts = parts_of(batch)
    batch.advance(decide)
    assert batch.run["end"][0] == End.FINISHED
    rows = batch.world(0).trace["event"][: batch.run["n_traced"][0]]
    by_heap: Events = []
    by_simpy: Events = []
    HeapModel(parts, by_heap).run()
    SimpyModel(parts, by_simpy).run()
    return rows[["time", "actor", "state"]].tolist(), by_heap, by_simpy


@pytest.mark.parametrize("n_vcpus", SIZES)
def test_models_have_the_simulators_events(n_vcpus: int):
    ours, by_heap, by_simpy = traced(n_vcpus)
    assert by_heap == ours
    assert by_simpy == ours


def test_common_episode_has_busy_replies_of_both_sides():
    """A comparison without contention would leave the lock out."""
    ours, *_ = traced(8)
    busy = {actor == 8 for _, actor, state in ours if state == State.SEAM_RETURN}
    assert busy == {False, True}


def test_models_count_what_the_simulator_counts():
    batch, decide = episode(load_common(4, n_items=2), n_events_traced=N_TRACED)
    parts = parts_of(batch)
    batch.advance(decide)
    counts = {HeapModel(parts).run(), SimpyModel(parts).run(), int(batch.run["n_events"][0])}
    assert len(counts) == 1 and np.all(batch.ended)
