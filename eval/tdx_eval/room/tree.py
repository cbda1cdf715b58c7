"""A small tree that says where another answer than the base's costs less, grown on advantages.

It is grown for what its answers save, not for how well it foretells costs: each split is the one
after which the best answer of each side saves most.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Decide, Features, Policy, is_allowed
from tdx_agents.row import Row
from tdx_env.spaces import FEATURES, FLUSH_FEATURES
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import Action

VISIBLE = tuple(int(row.feature) for row in (*FEATURES, *FLUSH_FEATURES))
"""Features that a host can know."""
_MOST_LEAVES = 6
_LEAST_SHARE, _FEWEST = 24, 12  # a leaf has a 24th of the decisions, and 12, at least
_ERRORS = 2  # an answer is taken if it saves more than so many standard errors


@dataclass(frozen=True)
class Node:
    """A leaf, or a question.

    Attributes:
        feature: What is looked at, NONE in a leaf.
        threshold: Up to which the answer is left.
        left, right: Numbers of the next nodes.
        answer: In a leaf: the Action, NONE to leave it to the base.
        n: Decisions it was grown on.
        saved: What the answer saved in the mean [cycles].
        error: Its standard error [cycles].
    """

    feature: int
    threshold: int
    left: int
    right: int
    answer: int
    n: int
    saved: float
    error: float


@dataclass(frozen=True)
class _Cut:
    """The best split of some decisions."""

    won: float
    feature: int
    threshold: int
    rows: tuple[NDArray[np.int64], NDArray[np.int64]]


def _leaf(gains: NDArray[np.float64]) -> Node:
    """Return the leaf for some decisions, shape (n, N_ACTIONS)."""
    n = len(gains)
    saved, error = gains.mean(axis=0), gains.std(axis=0, ddof=1) / np.sqrt(n)
    answer = int(np.argmax(np.where(saved > _ERRORS * error, saved, 0)))
    if saved[answer] <= _ERRORS * error[answer]:
        return Node(NONE, 0, NONE, NONE, NONE, n, 0.0, 0.0)
    return Node(NONE, 0, NONE, NONE, answer, n, float(saved[answer]), float(error[answer]))


def _best_cut(
    features: NDArray[np.int64], gains: NDArray[np.float64], rows: NDArray[np.int64], fewest: int
) -> _Cut | None:
    """Return the split of some decisions after which answers save most, None if none saves more."""
    best: _Cut | None = None
    most = max(0.0, float(gains[rows].sum(axis=0).max()))
    for feature in VISIBLE:
        order = rows[np.argsort(features[rows, feature], kind="stable")]
        values = features[order, feature]
        sums = gains[order].cumsum(axis=0)
        places = np.arange(fewest, len(order) - fewest + 1)
        places = places[values[places - 1] < values[np.minimum(places, len(order) - 1)]]
        if len(places) == 0:
            continue
        left = sums[places - 1]
        won = np.maximum(left.max(axis=1), 0) + np.maximum((sums[-1] - left).max(axis=1), 0) - most
        at = int(np.argmax(won))
        if won[at] > (best.won if best is not None else 0.0):
            place = int(places[at])
            sides = (order[:place], order[place:])
            best = _Cut(float(won[at]), feature, int(values[place - 1]), sides)
    return best


def grown(features: NDArray[np.int64], gains: NDArray[np.float64]) -> list[Node]:
    """Return the nodes of a tree, the root first.

    Args:
        features: Of the decisions, shape (n, N_FEATURES).
        gains: What each answer saves against the base's, nan where it is masked, shape (n,
            N_ACTIONS) [cycles].
    """
    gains = np.nan_to_num(gains, nan=0.0)
    fewest = max(_FEWEST, len(gains) // _LEAST_SHARE)
    rows = {0: np.arange(len(gains))}
    nodes = [_leaf(gains)] if len(gains) > 1 else [Node(NONE, 0, NONE, NONE, NONE, 1, 0.0, 0.0)]
    cuts = {0: _best_cut(features, gains, rows[0], fewest)}
    for _ in range(_MOST_LEAVES - 1):
        open_cuts = {place: cut for place, cut in cuts.items() if cut is not None}
        if not open_cuts:
            break
        place = max(open_cuts, key=lambda one: open_cuts[one].won)
        cut = open_cuts[place]
        del cuts[place]
        left, right = len(nodes), len(nodes) + 1
        for side, some in zip((left, right), cut.rows, strict=True):
            cuts[side] = _best_cut(features, gains, some, fewest)
            nodes.append(_leaf(gains[some]))
        total = nodes[place].n
        nodes[place] = Node(cut.feature, cut.threshold, left, right, NONE, total, 0.0, 0.0)
    return pruned(nodes)


def pruned(nodes: list[Node]) -> list[Node]:
    """Return a tree without the questions whose two leaves have one answer."""
    nodes = list(nodes)
    for place in range(len(nodes) - 1, -1, -1):
        node = nodes[place]
        if node.feature == NONE:
            continue
        sides = (nodes[node.left], nodes[node.right])
        answers = {side.answer for side in sides if side.feature == NONE}
        if len(answers) == 1 and all(side.feature == NONE for side in sides):
            saved = sum(side.saved * side.n for side in sides) / node.n
            error = sum((side.error * side.n) ** 2 for side in sides) ** 0.5 / node.n
            nodes[place] = Node(NONE, 0, NONE, NONE, answers.pop(), node.n, saved, error)
    return nodes


def decide_by(nodes: list[Node], base: Decide) -> Decide:
    """Return the decision function of a tree; the base decides where it has no answer."""
    feature = np.array([node.feature for node in nodes], np.int64)
    threshold = np.array([node.threshold for node in nodes], np.int64)
    left = np.array([node.left for node in nodes], np.int64)
    right = np.array([node.right for node in nodes], np.int64)
    answer = np.array([node.answer for node in nodes], np.int64)

    def decide(features: Features) -> int:
        node = 0
        while feature[node] != NONE:
            node = left[node] if features[feature[node]] <= threshold[node] else right[node]
        if answer[node] != NONE and is_allowed(features, answer[node]):
            return int(answer[node])
        return base(features)

    return decide


def policy_of(nodes: list[Node], base: Policy, name: str) -> Policy:
    """Return a tree as a policy, under the base's discipline and charged as the base is.

    Args:
        nodes: The tree.
        base: Compiled policy that decides where the tree has no answer.
        name: Of the new policy.
    """
    assert base.decide is not None
    title = f"a tree of {sum(node.feature == NONE for node in nodes)} leaves above {base.name}"
    rule = decide_by(nodes, base.decide)
    return Row(name, "", title, "tdx-eval room", rule, base.discipline).compile()


def told(nodes: list[Node]) -> str:
    """Return the leaves that don't leave the answer to the base, in words; "" if all do."""
    found: list[str] = []

    def walk(place: int, path: list[str]) -> None:
        node = nodes[place]
        if node.feature != NONE:
            name = next(
                row.name for row in (*FEATURES, *FLUSH_FEATURES) if row.feature == node.feature
            )
            walk(node.left, [*path, f"{name} <= {node.threshold}"])
            walk(node.right, [*path, f"{name} > {node.threshold}"])
        elif node.answer != NONE:
            found.append(f"{Action(node.answer).name} if {' and '.join(path) or 'asked'}")

    walk(0, [])
    return "; ".join(found)
