"""Plays a world twice, with vCPUs off the agenda and with every event on it, and compares all.

python -m tests.oracles.lazy 0 10000    # numbers of random worlds
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from tdx_env.engine.batch import Batch
from tdx_env.state.actors import ACTOR, NEVER
from tdx_env.state.features import N_FEATURES
from tdx_env.state.world import RUN, World
from tests.strategies import batch_world, computing_world, random_world

from .comparison import RULES

# How it was played, as against what came of it.
_HOW = {
    "n_events",
    "turn",
    "soonest_apart",
    "may_be_apart",
    "epoch_until",
    "n_returned",
    "enter_cycles",
    "enter_steps",
    "n_hammers",
    "others_due",
    "trace_capacity",
    "n_traced",
}
KINDS: tuple[Callable[[int], Any], ...] = (
    computing_world,
    computing_world,
    random_world,
    batch_world,
)


def difference(lazy: World, eager: World) -> str:
    """Return the first field in which two states of one episode differ, or ''."""
    for name in RUN.names or ():
        if name not in _HOW and not np.array_equal(lazy.run[name], eager.run[name]):
            return f"run, {name}: {lazy.run[name]}, on the agenda {eager.run[name]}"
    n_actors = int(eager.run["n_actors"])
    for name in set(ACTOR.names or ()) - {"awaited"}:
        mine, its = (world.actors["row"][name][:n_actors] for world in (lazy, eager))
        if not np.array_equal(mine, its):
            actor = np.flatnonzero((mine != its).reshape(n_actors, -1).any(1))[0]
            return f"actor {actor}, {name}: {mine[actor]}, on the agenda {its[actor]}"
    apart = lazy.actors["apart"][:n_actors]
    due = np.where(apart == NEVER, lazy.actors["due"][:n_actors], apart)
    if not np.array_equal(due, eager.actors["due"][:n_actors]):
        return f"due: {due}, on the agenda {eager.actors['due'][:n_actors]}"
    n_entries = int(eager.run["first_l3"]) + 1
    if not np.array_equal(lazy.entries["row"][:n_entries], eager.entries["row"][:n_entries]):
        return "entries"
    return ""


def compare(world_seed: int) -> tuple[str, int]:
    """Play a random world both ways, decision by decision.

    Returns:
        The first difference, or ''; and how many events off the agenda were not counted.
    """
    setup, discipline, seed = KINDS[world_seed % len(KINDS)](world_seed)
    rule = RULES[world_seed % len(RULES)]
    lazy, eager = Batch(setup, discipline), Batch(setup, discipline, n_events_traced=1)
    for batch in (lazy, eager):
        batch.reset([seed])
        batch.advance()
    n_decisions = 0
    while True:
        found = difference(lazy.world(0), eager.world(0))
        if not found and not np.array_equal(lazy.numbers, eager.numbers):
            found = "numbers"
        if found or not lazy.waiting[0]:
            break
        actions = [rule([int(x) for x in lazy.features[0][:N_FEATURES]], lazy.masks[0])]
        lazy.advance(actions=actions)
        eager.advance(actions=actions)
        n_decisions += 1
    saved = int(eager.run["n_events"][0] - lazy.run["n_events"][0])
    return found and f"decision {n_decisions}: {found}", saved


def main() -> None:
    """Compare worlds of a range of numbers; print those that differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    given = parser.parse_args()
    n_saved = n_wrong = n_with = 0
    for world_seed in range(given.first, given.last):
        found, saved = compare(world_seed)
        n_saved += saved
        n_with += saved > 0
        if found:
            n_wrong += 1
            print(f"world {world_seed}: {found}", flush=True)
    print(
        f"{given.last - given.first} worlds, {n_wrong} differ; {n_with} had events off the "
        f"agenda, {n_saved:,} in all"
    )


if __name__ == "__main__":
    main()
