"""Whose turn is next: the due times, and the earliest one of every block of actors.

With many actors a scan of all due times would be most of an event's cost.
The earliest time of each block of 16 is kept, so that a scan goes over the blocks, then over one.
Whoever changes the due time of an actor other than the one being handled does it by `wake_at`; the
handled one's own block is brought up to date by the loop. An actor off the agenda is due NEVER; its
time is kept apart (see `host.lazy`).

A scan looks at four times and at the next four independently, then at which of them is earlier:
the processor does not have to wait for one comparison before it makes the next. What is beyond the
last actor or block is NEVER, so that it is never the first.
"""

import numpy as np

from tdx_env.jit import inner
from tdx_env.state.actors import NEVER
from tdx_env.state.calls import NONE
from tdx_env.state.world import BLOCK_SHIFT, MAX_ACTORS, World

_MANY_ACTORS = 32  # up to here a plain scan is faster


@inner
def refresh_block(world: World, actor: int) -> None:
    """Take note that the due time of another actor than the handled one has changed."""
    world.run["others_due"] = 0
    refresh_own_block(world, actor)


@inner
def refresh_own_block(world: World, actor: int) -> None:
    """Bring the earliest due time of the actor's block up to date."""
    run = world.run
    if run["n_blocks"] == 0:
        return
    block = actor >> BLOCK_SHIFT
    first = block << BLOCK_SHIFT
    soonest = world.actors["due"][first]
    for other in range(first + 1, first + (1 << BLOCK_SHIFT)):
        soonest = min(soonest, world.actors["due"][other])
    world.actors["soonest"][block] = soonest


@inner
def wake_at(world: World, actor: int, time: int) -> None:
    """Set when an actor is due that somebody else's event concerns."""
    world.actors["due"][actor] = time
    refresh_block(world, actor)


@inner
def call_back(world: World, actor: int) -> None:
    """Put an actor that is off the agenda back on it."""
    time = world.actors["apart"][actor]
    if time != NEVER:
        world.actors["apart"][actor] = NEVER
        wake_at(world, actor, time)


@inner
def open_agenda(world: World) -> None:
    """Start keeping blocks, if there are actors enough; fill up what is scanned with NEVER."""
    run = world.run
    n_blocks = ((run["n_actors"] - 1) >> BLOCK_SHIFT) + 1
    for actor in range(run["n_actors"], n_blocks << BLOCK_SHIFT):
        world.actors["due"][actor] = NEVER
    run["n_blocks"] = n_blocks if run["n_actors"] > _MANY_ACTORS else 0
    for block in range(run["n_blocks"]):
        refresh_block(world, block << BLOCK_SHIFT)
    for block in range(run["n_blocks"], MAX_ACTORS >> BLOCK_SHIFT):
        world.actors["soonest"][block] = NEVER


@inner
def _first_of_four(due: np.ndarray, first: int) -> tuple[int, int]:
    """Return which of four actors has the smallest (due, number), and its due time."""
    chosen = first
    earliest = due[first]
    for actor in range(first + 1, first + 4):
        if due[actor] < earliest:
            earliest = due[actor]
            chosen = actor
    return chosen, earliest


@inner
def _first_due(due: np.ndarray, first: int, last: int) -> int:
    """Return the actor from first to last - 1 with the smallest (due, number)."""
    chosen, earliest = _first_of_four(due, first)
    for four in range(first + 4, last, 4):
        actor, time = _first_of_four(due, four)
        if time < earliest:
            earliest = time
            chosen = actor
    return chosen


@inner
def _first_of_all(world: World) -> int:
    """Return the same among all actors; among many the block first."""
    run = world.run
    if run["n_blocks"] == 0:
        return _first_due(world.actors["due"], 0, run["n_actors"])
    block = _first_due(world.actors["soonest"], 0, run["n_blocks"])
    first = block << BLOCK_SHIFT
    last = min(first + (1 << BLOCK_SHIFT), run["n_actors"])
    return _first_due(world.actors["due"], first, last)


@inner
def _due_of_others(world: World, actor: int) -> int:
    """Return the earliest due time of all others [cycles]."""
    due = world.actors["due"][actor]
    world.actors["due"][actor] = NEVER
    refresh_own_block(world, actor)
    soonest = world.actors["due"][_first_of_all(world)]
    world.actors["due"][actor] = due
    refresh_own_block(world, actor)
    return soonest


@inner
def next_actor(world: World, before: int) -> int:
    """Return the actor with the smallest (due, number).

    Args:
        world: The world.
        before: Whose event was the last, or NONE. Who comes twice may come often: it is asked no
            more before it is due when others are, or the due time of another one changes.
    """
    run = world.run
    if before != NONE and world.actors["due"][before] < run["others_due"]:
        return before
    actor = _first_of_all(world)
    run["others_due"] = _due_of_others(world, actor) if actor == before else 0
    return actor
