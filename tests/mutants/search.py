"""Where mistakes in the kernel are looked for: worlds in which it is compared with the oracle."""

from collections.abc import Iterable
from typing import Any

from tests.mutants.directed import DIRECTED
from tests.oracles.comparison import RULES, difference, run_kernel, run_oracle
from tests.strategies import batch_world, random_world

# Worlds that meet what few do: faults behind a mapping just being split; a mark on an entry whose
# holder, a host call, commits; a writer that waits for a list that does not yield to it; a guest
# that is refused a 2M page and gets all of its 4K pages; a page that a batch finds blocked already.
RARE = (778, 807, 1489, 2051, 1906, 1141, 618, 708, 596)
N_RANDOM = 400
N_BATCHES = 100  # worlds whose zaps are long, in batches
BATCH = "batch "  # and a seed: the name of such a world
WORLDS = (*DIRECTED, *range(N_RANDOM), *RARE, *(f"{BATCH}{seed}" for seed in range(N_BATCHES)))

Place = int | str
"""A random world's seed, the name of one of batches or a directed one, or a folder of tests."""


def world_of(place: Place) -> tuple[Any, ...]:
    """Return a world's setup and discipline, the seed of an episode, and the rule that decides."""
    if isinstance(place, str) and place.startswith(BATCH):
        seed = int(place.removeprefix(BATCH))
        return (*batch_world(seed), RULES[seed % len(RULES)])
    if isinstance(place, str):
        return (*DIRECTED[place](), RULES[0])
    return (*random_world(place), RULES[place % len(RULES)])


def compare_in(place: Place) -> str:
    """Return how kernel and oracle differ in a world, or ''."""
    world = world_of(place)
    return difference(run_oracle(*world)[0], run_kernel(*world))


def first_difference(places: Iterable[Place]) -> str:
    """Return the first of these worlds in which kernel and oracle differ, and how; or ''."""
    for place in places:
        try:
            found = compare_in(place)
        except Exception as error:  # noqa: BLE001 - a mistake may raise anything; it is noticed then
            found = repr(error)
        if found:
            return f"{place}: {found}"
    return ""
