"""All entrants beside each other: found on train, chosen on validation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_agents.tree import Node, Split
from tdx_env.state.discipline import Action
from tdx_eval.searching.arena import Arena
from tdx_eval.searching.breeding import n_lines_of
from tdx_eval.searching.methods import Found


@dataclass(frozen=True)
class Entry:
    """One entrant on validation.

    Attributes:
        name: By hand: its name; found: the method and its seed.
        root: The tree.
        mean: Mean ratio of its cost to that of *until somebody waits*.
        worst: The largest ratio of all scenarios.
        n_lost: Episodes that did not finish.
    """

    name: str
    root: Node
    mean: float
    worst: float
    n_lost: int

    @property
    def n_lines(self) -> int:
        """Lines of its program."""
        return n_lines_of(self.root)


def entry_of(name: str, root: Node, arena: Arena, weights: NDArray[np.float64]) -> Entry:
    """Return what a tree comes to in an arena."""
    played = arena.play(root)
    ratios = arena.ratios(played, weights)
    return Entry(name, root, float(ratios.mean()), float(ratios.max()), played.n_lost)


def chosen_entries(
    hand: Mapping[str, Node],
    found: Sequence[Found],
    arena: Arena,
    weights: NDArray[np.float64],
) -> list[Entry]:
    """Return entrants on validation: those by hand, and of each run its best finalist."""
    entries = [entry_of(name, root, arena, weights) for name, root in hand.items()]
    for run in found:
        name = f"{run.method}-{run.seed}"
        tried = [entry_of(name, root, arena, weights) for root in run.finalists]
        entries.append(min(tried, key=lambda one: (one.n_lost, one.mean)))
    return sorted(entries, key=lambda one: (one.n_lost, one.mean))


def one_line(node: Node) -> str:
    """Return a tree in one line."""
    if isinstance(node, Action):
        return node.name
    assert isinstance(node, Split)
    return f"{node.input} > {node.above} ? ({one_line(node.then)}) : ({one_line(node.otherwise)})"


def contest_table(entries: Sequence[Entry], found: Sequence[Found]) -> str:
    """Return the entrants as a Markdown table."""
    runs = {f"{run.method}-{run.seed}": run for run in found}
    rows = [
        "| entrant | lines | mean ratio | worst ratio | lost | on train | decisions | program |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in entries:
        run = runs.get(one.name)
        spent = f"{run.score:.3f} | {run.n_decisions:,}" if run else " | "
        rows.append(
            f"| {one.name} | {one.n_lines} | {one.mean:.3f} | {one.worst:.3f} | "
            f"{one.n_lost or ''} | {spent} | `{one_line(one.root)}` |"
        )
    return "\n".join(rows)


def contest_json(entries: Sequence[Entry], found: Sequence[Found], said: Mapping[str, Any]) -> str:
    """Return the entrants as JSON, with what was asked for."""
    content = {
        **said,
        "entries": [
            {
                "name": one.name,
                "lines": one.n_lines,
                "mean_ratio": one.mean,
                "worst_ratio": one.worst,
                "n_lost": one.n_lost,
                "program": one_line(one.root),
            }
            for one in entries
        ],
        "runs": [
            {
                "method": run.method,
                "seed": run.seed,
                "train_ratio": run.score,
                "n_decisions": run.n_decisions,
                "n_trees": run.n_trees,
            }
            for run in found
        ],
    }
    return json.dumps(content, indent=2) + "\n"
