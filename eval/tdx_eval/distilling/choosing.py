"""Many trees from one table, and the best of each size by cost in the simulator."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tdx_agents.tree import Node
from tdx_eval.distilling.growing import Lessons, grown_tree
from tdx_eval.searching.arena import Arena
from tdx_eval.searching.breeding import n_lines_of
from tdx_eval.searching.contest import Entry, entry_of

SIZES = (5, 15)  # nodes, tests and leaves, at most
_LEAF_COUNTS = (2, 3, 4, 5, 6, 8)
_SHARES = (0.01, 0.03, 0.1)


def candidates_of(lessons: Lessons) -> dict[str, Node]:
    """Return the trees that a table offers, by name, each once."""
    found: dict[Node, str] = {}
    for n_leaves in _LEAF_COUNTS:
        for share in _SHARES:
            root = grown_tree(lessons, n_leaves, share)
            found.setdefault(root, f"grown-{n_leaves}-{share:g}")
    return {name: root for root, name in found.items()}


def judged(
    candidates: Mapping[str, Node], arena: Arena, weights: NDArray[np.float64]
) -> list[Entry]:
    """Return candidates with what they come to on validation, the best first."""
    entries = [entry_of(name, root, arena, weights) for name, root in candidates.items()]
    return sorted(entries, key=lambda one: (one.n_lost, one.mean, one.n_lines))


def best_of_size(entries: Sequence[Entry], n_nodes: int) -> Entry | None:
    """Return the best entry of at most so many nodes; None if there is none."""
    return next((one for one in entries if n_lines_of(one.root) <= n_nodes), None)
