"""Runs one random world in the kernel and in the oracle, and says where they differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tdx_env.engine.batch import Batch
from tdx_env.state.accounting import Category
from tdx_env.state.actors import State
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.discipline import Action
from tdx_env.state.features import N_FEATURES, Feature
from tdx_env.state.world import CELL_LOCKS, N_HOLDERS, End
from tests.strategies import random_world

from .world import OracleWorld

COUNTERS = (
    "n_events",
    "n_decisions",
    "n_seamcalls",
    "n_busy",
    "n_ipis",
    "n_kicks",
    "n_guest_busy",
    "n_abandoned",
    "n_synthetic",
    "n_armed",
    "n_interrupted",
    "n_list_busy",
    "n_splits",
    "n_write_locks",
    "n_behind_writers",
    "write_held",
    "n_flushes",
    "n_frozen_met",
    "n_switches",
    "n_moves",
    "n_pamt_gets",
    "n_pamt_adds",
    "pamt_get_cycles",
    "pamt_get_max",
    "populate_cycles",
    "guest_items",
    "task_items",
    "work_done",
    "work_total",
    "last_progress",
    "waste",
    "overhead",
    "preempt_penalty",
    "preempt_1ms",
    "preempt_50us",
    "latency",
    "n_chunks",
    "n_pages",
    "chunk_cycles",
    "hold_max",
    "tail_cost",
    "longest_stretch",
    "fault_max",
    "zap_max",
)
TRACED = 100_000  # a longer episode is compared up to here, and in its sums
CONTEXT = 8  # events shown before the first difference


@dataclass
class Episode:
    """What both sides report about one episode."""

    end: End
    now: int
    events: list[tuple[int, ...]]
    decisions: list[tuple[int, ...]]
    features: list[list[int]]
    booked: list[list[int]]
    counters: dict[str, int]
    owned: tuple[list[int], list[int]]
    n_holds: int
    cells: dict[tuple[int, int, int], tuple[int, int]]
    killed: tuple[int, int, int] | None


Rule = Callable[[Sequence[int], Sequence[int]], int]


def by_lottery(features: Sequence[int], mask: Sequence[int]) -> int:
    """Decide by a fixed function of the features that takes every allowed action."""
    allowed = [action for action, bit in enumerate(mask) if bit]
    key = features[Feature.LOTTERY] + 7 * features[Feature.OPERAND] + features[Feature.ISSUES]
    return allowed[int(key) % len(allowed)]


def always(action: Action) -> Rule:
    """Return the rule that always takes one action, masked or not."""
    return lambda features, mask: int(action)


RULES: tuple[Rule, ...] = (
    by_lottery,
    by_lottery,
    by_lottery,
    always(Action.RETRY),
    always(Action.KICK),
    always(Action.YIELD),
)


def run_oracle(
    setup: Any, discipline: Any, seed: int, rule: Rule = by_lottery
) -> tuple[Episode, OracleWorld]:
    """Run an episode in the oracle."""
    world = OracleWorld(setup, discipline, seed)
    features: list[list[int]] = []

    def decide(vector: list[int], mask: list[int]) -> int:
        features.append(vector)
        return rule(vector, mask)

    world.run(decide)
    is_killed = world.end == End.KILLED
    episode = Episode(
        world.end,
        world.now,
        world.events,
        world.decisions,
        features,
        world.booked,
        {name: int(getattr(world, name)) for name in COUNTERS},
        (world.owned, world.track),
        len(world.holds),
        {
            (int(leaf), int(holder), int(lock)): (count, cycles)
            for (leaf, holder, lock), (count, cycles) in world.cells.items()
        },
        (world.kill_actor, int(world.kill_leaf), int(world.kill_outcome)) if is_killed else None,
    )
    return episode, world


def run_kernel(setup: Any, discipline: Any, seed: int, rule: Rule = by_lottery) -> Episode:
    """Run an episode in the kernel."""
    batch = Batch(setup, discipline, 1, n_events_traced=TRACED, n_decisions_traced=TRACED)
    batch.reset(np.array([seed]), np.zeros(1, np.int64))
    batch.advance()
    features = []
    while batch.waiting[0]:
        vector = [int(x) for x in batch.features[0][:N_FEATURES]]
        features.append(vector)
        batch.advance(actions=[rule(vector, batch.masks[0])])
    world = batch.world(0)
    run = world.run
    n_actors = int(run["n_actors"])
    is_killed = run["end"] == End.KILLED
    return Episode(
        End(int(run["end"])),
        int(run["now"]),
        _rows(world.trace["event"][: int(run["n_traced"])]),
        _rows(world.decisions["decision"][: int(run["n_decisions_traced"])]),
        features,
        [row.tolist() for row in world.actors["row"]["booked"][:n_actors]],
        {name: int(run[name]) for name in COUNTERS},
        (run["owned"].tolist(), run["track"].tolist()),
        int(run["holds"].sum()),
        _cells(run["cells"]),
        tuple(int(run[f"kill_{name}"]) for name in ("actor", "leaf", "outcome"))
        if is_killed
        else None,
    )


def _rows(array: Any) -> list[tuple[int, ...]]:
    return [tuple(row) for row in array.tolist()]


def _cells(array: Any) -> dict[tuple[int, int, int], tuple[int, int]]:
    """Return the cells that counted something, by leaf, holder's leaf and lock."""
    cells = {}
    table = np.asarray(array).reshape(-1, N_HOLDERS, len(CELL_LOCKS), 2)
    for leaf, holder, lock in np.argwhere(table[..., 0] != 0):
        count, cycles = table[leaf, holder, lock]
        key = (int(leaf), int(holder) if holder < N_HOLDERS - 1 else NONE, int(CELL_LOCKS[lock]))
        cells[key] = (int(count), int(cycles))
    return cells


def _show(event: tuple[int, ...]) -> str:
    time, actor, state, entry = event
    return f"{time:>9}  actor {actor}  {State(state).name:<18} entry {entry}"


def _difference_of_rows(
    name: str,
    oracle: Sequence[Any],
    kernel: Sequence[Any],
    show: Callable[[Any], str] = str,
) -> str:
    """Describe the first row that differs; '' if none does."""
    first = next((i for i, (a, b) in enumerate(zip(oracle, kernel, strict=False)) if a != b), None)
    if first is None:
        if len(oracle) == len(kernel):
            return ""
        first = min(len(oracle), len(kernel))
    lines = [f"{name} differ at {first} (oracle has {len(oracle)}, kernel {len(kernel)})"]
    for side, rows in (("oracle", oracle), ("kernel", kernel)):
        begin = max(0, first - CONTEXT)
        lines.append(f"  {side}:")
        lines += [
            f"  {'>' if i == first else ' '} {i:>6}  {show(rows[i])}"
            for i in range(begin, min(first + 3, len(rows)))
        ]
    return "\n".join(lines)


def _show_decision(row: tuple[int, ...]) -> str:
    time, actor, path, leaf, operand, entry, issues, action = row
    return (
        f"{time:>9}  actor {actor}  path {path} {Leaf(leaf).name} operand {operand} "
        f"entry {entry} issues {issues} action {action}"
    )


def difference(oracle: Episode, kernel: Episode) -> str:
    """Describe the first difference of two episodes; '' if there is none."""
    text = _difference_of_rows("events", oracle.events[:TRACED], kernel.events, _show)
    text = text or _difference_of_rows(
        "decisions", oracle.decisions[:TRACED], kernel.decisions, _show_decision
    )
    if text:
        return text
    for n, (mine, other) in enumerate(zip(oracle.features, kernel.features, strict=True)):
        for feature in Feature:
            if mine[feature] != other[feature]:
                return (
                    f"features differ at decision {n}, {feature.name}: "
                    f"oracle {mine[feature]}, kernel {other[feature]}"
                )
    for name in ("end", "now", "killed", "cells", "owned", "n_holds"):
        if getattr(oracle, name) != getattr(kernel, name):
            return f"{name}: oracle {getattr(oracle, name)}, kernel {getattr(kernel, name)}"
    for actor, (mine, other) in enumerate(zip(oracle.booked, kernel.booked, strict=True)):
        for category in Category:
            if mine[category] != other[category]:
                return (
                    f"booked differ: actor {actor}, {category.name}: "
                    f"oracle {mine[category]}, kernel {other[category]}"
                )
    for name in COUNTERS:
        if oracle.counters[name] != kernel.counters[name]:
            return f"{name}: oracle {oracle.counters[name]}, kernel {kernel.counters[name]}"
    return ""


def compare(world_seed: int, make: Callable[[int], Any] = random_world) -> str:
    """Run a random world on both sides; return the first difference, or ''.

    Args:
        world_seed: What the world and the rule by which is decided follow from.
        make: Makes the world.
    """
    setup, discipline, seed = make(world_seed)
    rule = RULES[world_seed % len(RULES)]
    oracle, _ = run_oracle(setup, discipline, seed, rule)
    return difference(oracle, run_kernel(setup, discipline, seed, rule))
