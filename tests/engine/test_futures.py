"""Worlds copied into another batch, and played on under other keys."""

import numpy as np
import pytest

from tdx_env.engine.batch import SKIP, Batch
from tdx_env.engine.futures import future_keys
from tdx_env.errors import SnapshotError
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import load, setup_of
from tdx_env.state.discipline import Action

QUICK = "s08-accept-2m/train"
SEEN = ("now", "seed", "n_events", "n_decisions", "decision_actor", "overhead", "waste")


def batch_of(n_worlds: int, name: str = QUICK) -> Batch:
    """Return worlds of a scenario under the default discipline."""
    return Batch(setup_of(load(name)), DEFAULT.record(), n_worlds)


def seen(batch: Batch) -> list[list[int]]:
    """Return what can be seen of each world."""
    rows = [batch.run[name].tolist() for name in SEEN]
    return [*rows, *batch.features.T.tolist(), *batch.masks.T.tolist(), *batch.numbers.tolist()]


def of_world(rows: list[list[int]], place: int) -> list[int]:
    """Return what can be seen of one of them."""
    return [row[place] for row in rows]


def played(batch: Batch) -> list[list[int]]:
    """Answer RETRY a few times; return what can then be seen of each world."""
    for _ in range(4):
        batch.advance(actions=np.full(batch.n_worlds, Action.RETRY))
    rows = seen(batch)
    return [of_world(rows, place) for place in range(batch.n_worlds)]


@pytest.fixture(scope="module")
def waiting() -> Batch:
    """Two worlds, each of which waits for its third decision."""
    batch = batch_of(2)
    batch.reset([1, 2])
    batch.advance()
    for _ in range(2):
        batch.advance(actions=[Action.RETRY, Action.RETRY])
    assert batch.waiting.all()
    return batch


def test_copies_go_on_as_the_original_which_is_not_changed(waiting):
    before, kept = seen(waiting), waiting.snapshot()
    copies = batch_of(3)
    copies.adopt(waiting, np.array([1, 0, 1]))
    assert [of_world(seen(copies), place) for place in range(3)] == [
        of_world(before, place) for place in (1, 0, 1)
    ]
    later = played(copies)
    assert seen(waiting) == before
    first = played(waiting)
    waiting.restore(kept)
    assert later == [first[1], first[0], first[1]]


def test_copies_beyond_those_that_are_adopted_stay_as_they_are(waiting):
    copies = batch_of(3)
    copies.reset([7, 8, 9])
    copies.adopt(waiting, np.array([0]))
    assert copies.run["seed"].tolist() == [1, 8, 9]
    copies.advance(actions=[Action.RETRY, SKIP, SKIP])
    assert copies.run["n_events"][1:].tolist() == [0, 0]


def test_worlds_of_another_scenario_are_not_adopted(waiting):
    with pytest.raises(SnapshotError, match="scenarios"):
        batch_of(2, "s26-same-page/train").adopt(waiting, np.array([0]))


def test_new_key_keeps_what_was_drawn_and_changes_what_comes(waiting):
    copies = batch_of(3)
    copies.adopt(waiting, np.array([0, 0, 0]))
    drawn = {name: copies.run[name].copy() for name in ("costs", "group_drawn", "n_vcpus")}
    actors = copies.actors["row"][:, : int(copies.run["n_actors"][0])].copy()
    copies.rekey(np.array([11, 11, 12], np.uint64))
    assert all(np.array_equal(copies.run[name], kept) for name, kept in drawn.items())
    assert np.array_equal(copies.actors["row"][:, : actors.shape[1]], actors)
    one, same, other = played(copies)
    assert one == same
    assert one[0] != other[0]  # the time


def test_each_future_of_each_decision_has_a_key_of_its_own():
    keys = future_keys(np.array([1, 1, 2], np.uint64), np.array([0, 1, 0]), 4)
    assert keys.shape == (3, 4)
    assert len(np.unique(keys)) == keys.size
    again = future_keys(np.array([1], np.uint64), np.array([1]), 2)
    assert np.array_equal(again[0], keys[1, :2])
