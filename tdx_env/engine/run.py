"""Running worlds: compiled functions that go through many of them, and the threads to do it."""

import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from enum import IntEnum
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.loop import Decide, advance
from tdx_env.engine.memory import pick, policy_at
from tdx_env.engine.start import start
from tdx_env.host.busy import decide
from tdx_env.jit import IS_COMPILED, compiled, decision, inner, kernel
from tdx_env.spaces import observation_size, observe_one
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import ASK, N_ACTIONS, Action
from tdx_env.state.features import Feature
from tdx_env.state.objectives import N_WEIGHED
from tdx_env.state.owners import Owner
from tdx_env.state.world import End, World

SKIP = -2  # in place of an action: leave the world alone
GO_ON = -(1 << 62)  # in place of an action: it was taken, but the events after it are not through
_BUSY_COLUMNS = observation_size()  # of observations without the columns for flush points


class Number(IntEnum):
    """What callers read after each step; row of a batch's ``numbers``."""

    END = 0  # an End
    COST = 1  # since the episode's start, by the scenario's objective [cycles]
    NOW = 2  # [cycles]
    WAS_MASKED = 3  # 1: the action given in the last call was masked
    ACTOR = 4  # actor that waits for a decision, or NONE
    PATH = 5  # its Path, or NONE
    OPERATION = 6  # id of its operation, or NONE
    N_ENDED = 7  # operations ended since the last decision
    # The parts of costs, in the order of `state.objectives.COST_NAMES` [cycles].
    WASTE = 8
    PREEMPT_PENALTY = 9
    LOST = 10
    HOST = 11
    STOLEN = 12
    HOSTILE = 13
    LATENCY = 14
    PREEMPT_1MS = 15
    PREEMPT_50US = 16
    HOST_TRACK = 17
    STOLEN_TRACK = 18


N_COST_PARTS = 12  # the places behind the names are 0, and free for parts to come
COST_PARTS = slice(int(Number.WASTE), int(Number.WASTE) + N_COST_PARTS)
N_NUMBERS = COST_PARTS.stop


class Shown(NamedTuple):
    """What callers see of worlds, one row or column each; as in `Batch`."""

    features: NDArray[np.int64]
    masks: NDArray[np.int8]
    numbers: NDArray[np.int64]


def leave_open(features: NDArray[np.int64]) -> int:
    """Leave every decision to the caller."""
    return ASK


@functools.cache
def ask() -> Decide:
    """Return the decision function that leaves every decision to the caller."""
    return decision(leave_open)


@inner
def _show_no_decision(world: World, features: NDArray[np.int64]) -> None:
    """Make the features those of a moment without a decision: only RETRY, path NONE."""
    features[:] = 0
    features[Feature.PATH] = NONE
    features[Feature.N_VCPUS] = world.run["n_vcpus"]
    for action in range(N_ACTIONS):
        world.run["mask"][action] = action == Action.RETRY


@inner
def _show_cost(world: World, index: int, numbers: NDArray[np.int64]) -> None:
    """Copy the parts of a world's cost, and weigh them."""
    run = world.run
    numbers[Number.WASTE, index] = run["waste"]
    numbers[Number.PREEMPT_PENALTY, index] = run["preempt_penalty"]
    numbers[Number.LOST, index] = run["tail_cost"]
    numbers[Number.HOST, index] = run["owned"][Owner.HOST]
    numbers[Number.STOLEN, index] = run["owned"][Owner.STOLEN]
    numbers[Number.HOSTILE, index] = run["owned"][Owner.HOSTILE]
    numbers[Number.LATENCY, index] = run["latency"]
    numbers[Number.PREEMPT_1MS, index] = run["preempt_1ms"]
    numbers[Number.PREEMPT_50US, index] = run["preempt_50us"]
    numbers[Number.HOST_TRACK, index] = run["track"][Owner.HOST]
    numbers[Number.STOLEN_TRACK, index] = run["track"][Owner.STOLEN]
    cost = 0.0
    for part in range(N_WEIGHED):
        cost += world.setup["weights"][part] * numbers[Number.WASTE + part, index]
    numbers[Number.COST, index] = int(cost)


@inner
def _show(world: World, index: int, shown: Shown) -> None:
    """Copy what callers read of a world: its record is out of the cache when they look."""
    run = world.run
    masks, numbers = shown.masks, shown.numbers
    for action in range(N_ACTIONS):
        masks[index, action] = run["mask"][action]
    numbers[Number.END, index] = run["end"]
    numbers[Number.NOW, index] = run["now"]
    _show_cost(world, index, numbers)
    numbers[Number.N_ENDED, index] = run["n_ended"]
    actor = run["decision_actor"]
    numbers[Number.ACTOR, index] = actor
    if actor == NONE:
        numbers[Number.PATH, index] = NONE
        numbers[Number.OPERATION, index] = NONE
        return
    me = world.actors["row"][actor]
    numbers[Number.PATH, index] = me["question"]
    numbers[Number.OPERATION, index] = NONE
    if me["operation_started"] != NONE:
        numbers[Number.OPERATION, index] = me["operation_id"]


@inner
def _is_masked(world: World, action: int) -> bool:
    """Say whether an action is one that is not allowed; none given is no such."""
    if action == NONE:
        return False
    return action < 0 or action >= N_ACTIONS or world.run["mask"][action] == 0


@inner
def _run_one(
    world: World,
    index: int,
    action: int,
    policy: Decide,
    shown: Shown,
    budget: int,
) -> bool:
    """Run a world until it asks or ends, after the action for the decision that it waits for.

    Returns:
        Whether it got there within the budget of events; otherwise, GO_ON goes on.
    """
    run = world.run
    if run["end"] != End.RUNNING:
        return True
    if action != GO_ON:
        shown.numbers[Number.WAS_MASKED, index] = _is_masked(world, action)
        if run["decision_actor"] != NONE and action != NONE:
            decide(world, action)
    if advance(world, shown.features[index], policy, budget) != End.RUNNING:
        _show_no_decision(world, shown.features[index])
    elif run["decision_actor"] == NONE:
        return False
    _show(world, index, shown)
    return True


# The arrays come one by one: numba takes twice as long to be handed a tuple of them.
def _run_range(
    worlds: Any,
    first: int,
    last: int,
    budget: int,
    policy: Any,
    actions: NDArray[np.int64],
    features: NDArray[np.int64],
    masks: NDArray[np.int8],
    numbers: NDArray[np.int64],
    observations: NDArray[np.float32],
) -> int:
    """Run the worlds from first to last - 1 that have not ended until each asks or ends.

    A world that waits for a decision is given its action, if that is not NONE; SKIP leaves a world
    alone. If there is room for observations, those of all worlds are written.

    Returns:
        How many of the worlds have ended; or, after as many events as the budget has, -1 minus the
        number of the world to go on with.
    """
    n_ended = 0
    left = budget
    take = policy_at(policy)
    shown = Shown(features, masks, numbers)
    has_flush = observations.shape[1] > _BUSY_COLUMNS
    for index in range(first, last):
        if actions[index] != GO_ON:
            numbers[Number.WAS_MASKED, index] = 0
        if actions[index] != SKIP:
            world = pick(worlds, index)
            before = world.run["n_events"]
            if not _run_one(world, index, actions[index], take, shown, left):
                return -1 - index
            left = max(1, left - (world.run["n_events"] - before))
        if len(observations) > 0:
            observe_one(features[index], observations[index], has_flush)
        n_ended += numbers[Number.END, index] != End.RUNNING
    return n_ended


@kernel
def start_some(
    worlds: Any,
    which: NDArray[np.int64],
    seeds: NDArray[np.uint64],
    capacities: NDArray[np.int64],
    memory: tuple[NDArray[np.int64], NDArray[np.int64]],
    shown: Shown,
) -> None:
    """Start an episode in each of the chosen worlds, of the scenario and module it names.

    Args:
        worlds: All worlds.
        which: Numbers of the worlds to start.
        seeds: What every draw is keyed by, one for each of them.
        capacities: Actors, events and decisions that a world has room for.
        memory: What is emptied before: runs and actors, one row for each of all worlds.
        shown: Is filled.
    """
    runs, actors = memory
    for place in range(len(which)):
        index = which[place]
        world = pick(worlds, index)
        scenario, module = world.run["scenario"], world.run["module_version"]
        runs[index] = 0
        actors[index] = 0
        world.run["scenario"], world.run["module_version"] = scenario, module
        world.run["capacity"] = capacities[0]
        world.run["trace_capacity"] = capacities[1]
        world.run["decision_capacity"] = capacities[2]
        start(world, seeds[place])
        shown.numbers[Number.WAS_MASKED, index] = 0
        _show_no_decision(world, shown.features[index])
        _show(world, index, shown)


@functools.cache
def compiled_run() -> Callable[..., int]:
    """Compile the event loop, once for all decision functions."""
    if not IS_COMPILED:
        return _run_range
    types = numba.types
    number = types.int64
    table = types.Array(number, 2, "C")
    actions = types.Array(number, 1, "C")
    masks = types.Array(types.int8, 2, "C")
    observations = types.Array(types.float32, 2, "C")
    signature = number(
        table, number, number, number, number, actions, table, masks, table, observations
    )
    return compiled(_run_range, signature)


@functools.cache
def _pool_of(n_helpers: int, process: int) -> ThreadPoolExecutor:
    """Return the threads of a process: a child that was forked has none of its parent's."""
    return ThreadPoolExecutor(n_helpers, thread_name_prefix="tdx-env")


def _sum(pieces: Iterator[int], is_stopped: threading.Event) -> int:
    """Return the sum of what pieces of work came to, up to a stop."""
    total = 0
    for piece in pieces:
        total += piece
        if is_stopped.is_set():
            break
    return total


def share(n_threads: int, work: Callable[[], Iterator[int]]) -> int:
    """Do work in several threads, the caller's included; return the sum of what it came to.

    What stops the caller, as Ctrl-C does, stops the others after their piece, before it goes on.

    Args:
        n_threads: Threads.
        work: Returns what one thread does, piece by piece.
    """
    pool = _pool_of(n_threads - 1, os.getpid())
    is_stopped = threading.Event()
    others = [pool.submit(_sum, work(), is_stopped) for _ in range(n_threads - 1)]
    try:
        return _sum(work(), is_stopped) + sum(other.result() for other in others)
    finally:
        is_stopped.set()
        wait(others)
