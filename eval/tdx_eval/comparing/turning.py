"""What a single cost does to a difference: the paired difference regressed on what was drawn.

Every episode draws each cost anew from its assumed range, the same for all policies. So the seeds
that were played say by themselves how a difference changes with a cost, and where it would be none.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

import tdx_agents
from tdx_env.engine.batch import Batch
from tdx_env.scenarios import Scenario, setup_of
from tdx_env.state.costs import Cost
from tdx_eval.comparing.statistics import SIGNIFICANCE, Estimate, Values, holm
from tdx_eval.comparing.summary import Turn, Weighed

FEWEST_PAIRS = 20  # seeds that a line through them needs
_NO_SPREAD = 1e-9
_DIGITS = 6


def costs_drawn(scenario: Scenario, seeds: Sequence[int]) -> Values:
    """Return what each seed draws for every cost, shape (n_seeds, N_COSTS) [cycles]."""
    any_discipline = tdx_agents.load(tdx_agents.names()[0]).discipline.record()
    batch = Batch(setup_of(scenario), any_discipline, len(seeds))
    batch.reset(np.array(seeds, np.int64))
    drawn: Values = batch.run["costs"].astype(np.float64)
    return drawn


def _slopes(shares: Values, drawn: Values) -> tuple[Values, Values]:
    """Return the slope of a line through the seeds for each cost, and its two-sided p-value.

    Args:
        shares: The paired difference of each seed, shape (n,).
        drawn: What each seed drew, shape (n, n_costs).

    Returns:
        Shape (n_costs,) each; of a cost that does not vary, 0 and 1.
    """
    n = len(shares)
    x, y = drawn - drawn.mean(axis=0), shares - shares.mean()
    spread, of_y = (x**2).sum(axis=0), float((y**2).sum())
    varies = spread > 0
    along = x.T @ y
    slope = np.divide(along, spread, out=np.zeros_like(along), where=varies)
    if of_y == 0:
        return slope, np.ones_like(slope)
    explained = np.clip(slope * along / of_y, 0.0, 1 - _NO_SPREAD)
    t = np.sqrt(explained * (n - 2) / (1 - explained))
    return slope, np.where(varies, 2 * stdtr(n - 2, -t), 1.0)


def _turn(scenario: Scenario, cost: Cost, line: tuple[float, float, float]) -> Turn:
    """Return what a cost does to a difference.

    Args:
        scenario: Where its range stands.
        cost: The cost.
        line: Its mean over the seeds, the mean difference and the slope.
    """
    middle, value, slope = line
    given = scenario.costs[cost.name.lower()]
    at_low, at_high = (value + slope * (end - middle) for end in (given.low, given.high))
    turns_at = middle - value / slope
    inside = given.low <= turns_at <= given.high
    return Turn(
        cost=cost.name.lower(),
        flag=given.source,
        low=given.low,
        high=given.high,
        at_low=round(at_low, _DIGITS),
        at_high=round(at_high, _DIGITS),
        turns_at=round(turns_at) if inside else None,
    )


def weighed(
    scenario: Scenario, drawn: Values, costs: tuple[Values, Values],
    names: tuple[str, str], is_paired: NDArray[np.bool_],
) -> Weighed:  # fmt: skip
    """Return which costs a difference hangs on, most first.

    Args:
        scenario: What was played.
        drawn: What each seed drew, shape (n, N_COSTS).
        costs: Cost of each episode of the policy and of the other one, shape (n,) each.
        names: Of the policy and the other one.
        is_paired: Seeds on which both finished their work, shape (n,); the others are left out:
            what a lost TD costs hangs on no cost.
    """
    ours, theirs = costs[0][is_paired], costs[1][is_paired]
    n = len(ours)
    base = float(theirs.mean()) if n else 0.0
    if n < FEWEST_PAIRS or base <= 0:
        return Weighed(*names, n, [])
    shares, found = (ours - theirs) / base, drawn[is_paired]
    slope, p = _slopes(shares, found)
    tested = holm([Estimate(0.0, 0.0, 0.0, float(one)) for one in p])
    sure = [cost for cost in Cost if (tested[cost].p or 0.0) <= SIGNIFICANCE and slope[cost]]
    lines = {c: (float(found[:, c].mean()), float(shares.mean()), float(slope[c])) for c in sure}
    turns = [_turn(scenario, cost, line) for cost, line in lines.items()]
    return Weighed(*names, n, sorted(turns, key=lambda it: -it.reach))
