"""A cost-sensitive tree: each test is the one after which the best answers cost least."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_agents.tree import Node, Split
from tdx_agents.tree_inputs import INPUTS, input_values
from tdx_env.state.discipline import Action
from tdx_eval.room.advantage_table import AdvantageTable

_MOST_CUTS = 64  # thresholds of an input that are tried
_DIGITS = 2  # significant digits of a threshold in its gap


@dataclass(frozen=True)
class Lessons:
    """What a tree is grown from.

    Attributes:
        values: Inputs of each decision, shape (n, len(INPUTS)).
        costs: What each answer costs beyond the best one, as a share of what an episode of the
            scenario costs on average from a decision on; a masked answer costs what RETRY costs,
            which is played in its place. Shape (n, N_ACTIONS).
    """

    values: NDArray[np.int64]
    costs: NDArray[np.float64]


def lessons_of(table: AdvantageTable, objective: str) -> Lessons:
    """Return what a table of advantages teaches about an objective, that it must have.

    Args:
        table: The table.
        objective: One of its objectives.
    """
    costs = table.cost[:, :, table.objectives.index(objective)]
    costs = np.where(np.isnan(costs), costs[:, [int(Action.RETRY)]], costs)
    for place in np.unique(table.scenario):
        rows = table.scenario == place
        scale = max(1.0, float(costs[rows].mean()))
        costs[rows] /= scale * rows.sum()
    costs = costs - costs.min(axis=1, keepdims=True)
    return Lessons(input_values(table.features), costs)


@dataclass(frozen=True)
class _Offer:
    """The best test for some decisions."""

    saved: float
    place: int
    above: int


def _rounded(low: int, high: int) -> int:
    """Return a threshold from low to below high, with few digits if there is one."""
    middle = (low + high) // 2
    if middle <= 0:
        return low
    unit = 10 ** max(0, len(str(middle)) - _DIGITS)
    rounded = middle // unit * unit
    return rounded if low <= rounded < high else low


def _offer(lessons: Lessons, rows: NDArray[np.int64], fewest: int) -> _Offer | None:
    """Return the test of some decisions that saves most, None if none saves anything."""
    whole = lessons.costs[rows].sum(axis=0).min()
    best: _Offer | None = None
    for place, one in enumerate(INPUTS):
        order = rows[np.argsort(lessons.values[rows, place], kind="stable")]
        values = lessons.values[order, place]
        ends = np.flatnonzero(values[:-1] < values[1:])
        ends = ends[(ends + 1 >= fewest) & (len(order) - ends - 1 >= fewest)]
        if len(ends) > _MOST_CUTS:
            ends = ends[np.linspace(0, len(ends) - 1, _MOST_CUTS).astype(int)]
        if len(ends) == 0:
            continue
        sums = lessons.costs[order].cumsum(axis=0)
        cost = sums[ends].min(axis=1) + (sums[-1] - sums[ends]).min(axis=1)
        at = int(np.argmin(cost))
        saved = float(whole - cost[at])
        if saved > (best.saved if best else 0.0):
            end = int(ends[at])
            above = 0 if one.is_flag else _rounded(int(values[end]), int(values[end + 1]))
            best = _Offer(saved, place, above)
    return best


def _answer(lessons: Lessons, rows: NDArray[np.int64]) -> Action:
    """Return the answer that costs least in some decisions."""
    return Action(int(lessons.costs[rows].sum(axis=0).argmin()))


def grown_tree(lessons: Lessons, n_leaves: int, least_share: float) -> Node:
    """Return a tree, grown best test first.

    Args:
        lessons: What is known.
        n_leaves: At most.
        least_share: Of the decisions that a leaf has at least.
    """
    n = len(lessons.values)
    fewest = max(1, int(least_share * n))
    parts = {"": np.arange(n)}  # decisions by the way to a leaf: y or n for each test
    offers = {"": _offer(lessons, parts[""], fewest)}
    tests: dict[str, _Offer] = {}
    while len(parts) < n_leaves:
        found = {way: offer for way, offer in offers.items() if offer is not None}
        if not found:
            break
        way = max(found, key=lambda one: found[one].saved)
        tests[way] = found[way]
        rows = parts.pop(way)
        offers.pop(way)
        holds = lessons.values[rows, found[way].place] > found[way].above
        for side, some in (("y", rows[holds]), ("n", rows[~holds])):
            parts[way + side] = some
            offers[way + side] = _offer(lessons, some, fewest) if len(some) > 1 else None

    def node(way: str) -> Node:
        if way not in tests:
            return _answer(lessons, parts[way])
        test = tests[way]
        then, otherwise = node(way + "y"), node(way + "n")
        if then == otherwise:
            return then
        return Split(INPUTS[test.place].name, test.above, then, otherwise)

    return node("")
