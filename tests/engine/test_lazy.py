"""vCPUs off the agenda leave no trace: every state is that of playing each event."""

import numba
import numpy as np
import pytest

from tdx_env.engine.batch import Batch
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import load, setup_of
from tdx_env.state.actors import NEVER
from tests.oracles.lazy import compare

CHUNK = 4 if numba.config.DISABLE_JIT else 30  # uncompiled, a world takes a second
N_CHUNKS = 2


@pytest.mark.parametrize("chunk", range(N_CHUNKS))
def test_states_are_those_of_playing_every_event(chunk: int) -> None:
    """At each decision and at the end; a larger run: `python -m tests.oracles.lazy 0 10000`."""
    n_saved = 0
    for world_seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        found, saved = compare(world_seed)
        assert not found, f"world {world_seed}: {found}"
        n_saved += saved
    assert n_saved > 0


def test_a_snapshot_taken_lazily_is_replayed_event_by_event() -> None:
    """A trace that goes on from a snapshot has everybody on the agenda, and the same decision."""
    batch = Batch(setup_of(load("s06-conversion/test", {"host.n_vcpus": 8})), DEFAULT.record())
    batch.reset([3])
    batch.advance()
    snapshot = batch.snapshot()
    twin = batch.traced(snapshot, 1)
    batch.advance(actions=[0])
    twin.advance(actions=[0])
    assert twin.run["now"][0] == batch.run["now"][0]
    assert np.array_equal(twin.features, batch.features)
    assert np.all(twin.actors["apart"][0][:8] == NEVER)
    assert twin.run["n_events"][0] > batch.run["n_events"][0]
