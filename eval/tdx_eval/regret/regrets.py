"""Regrets from costs: what a rule costs more than the best one of a cell, chosen on other seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_eval.regret.fixed import Rule
from tdx_eval.regret.playing import PlayedCell

LEAST_US = 10.0  # a cell whose best rule costs less is left out
_N_RESAMPLES, _SEED = 500, 1


@dataclass(frozen=True)
class CellBest:
    """A cell and its best rule.

    Attributes:
        cell: Name.
        best: The rule that costs least on the seeds it is chosen by and loses no TD there.
        best_us: What it costs on the others [µs].
        is_counted: Whether it costs enough to be counted.
    """

    cell: str
    best: str
    best_us: float
    is_counted: bool


@dataclass(frozen=True)
class RuleRegret:
    """A rule over the whole grid.

    Attributes:
        rule: Its name.
        title: What it does.
        is_fixed: Whether it looks at nothing but the number of tries.
        needs_kvm_change: Whether KVM would have to be restructured for it.
        worst: The largest regret of all cells [%], with its 95 % interval `low` to `high`.
        low: See `worst`.
        high: See `worst`.
        worst_cell: Where that is.
        median: Of the regrets of all cells [%].
        n_best: Cells whose best rule it is.
        n_lost: Episodes in which it lost the TD; they are counted, not averaged in.
        lost_cells: Cells in which it did.
    """

    rule: str
    title: str
    is_fixed: bool
    needs_kvm_change: bool
    worst: float
    low: float
    high: float
    worst_cell: str
    median: float
    n_best: int
    n_lost: int
    lost_cells: int


def _means(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each rule's finished episodes, nan if none is, shape (..., n_rules)."""
    n = np.isfinite(costs).sum(axis=-1)
    total = np.nansum(costs, axis=-1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def best_of(played: PlayedCell, rules: Sequence[Rule]) -> int | None:
    """Return which rule is the best of a cell on the seeds for that, None if all lose the TD."""
    is_safe = np.isfinite(played.chosen_us).all(axis=1)
    if not is_safe.any():
        return None
    return int(np.argmin(np.where(is_safe, _means(played.chosen_us), np.inf)))


def _worst(regrets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest regret of each rule, shape (n_rules,); 0 without any."""
    return np.where(np.isfinite(regrets), regrets, -np.inf).max(axis=1, initial=0.0)


def regrets_of(costs: NDArray[np.float64], best: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the regret of each rule in each cell [%], nan where it lost every TD.

    Args:
        costs: Shape (n_cells, n_rules, n_seeds) [µs].
        best: The best rule of each cell, shape (n_cells,).

    Returns:
        Shape (n_rules, n_cells).
    """
    means = _means(costs)
    own = means[np.arange(len(best)), best]
    regrets: NDArray[np.float64] = 100 * (means / own[:, None] - 1).T
    return regrets


def reckon_regrets(
    played: Sequence[PlayedCell], rules: Sequence[Rule]
) -> tuple[list[CellBest], list[RuleRegret]]:
    """Return each cell's best rule, and each rule's regret over the cells that count.

    The intervals are bootstrap percentiles over seeds, the same resample in all cells and for all
    rules; the best rule of a cell stays what it is.

    Args:
        played: All cells, at least one of which has a rule that loses no TD.
        rules: As they were played.
    """
    cells: list[CellBest] = []
    counted: list[tuple[PlayedCell, int]] = []
    for one in played:
        best = best_of(one, rules)
        if best is None:
            cells.append(CellBest(one.cell, "", 0.0, False))
            continue
        cost = float(_means(one.costs_us)[best])
        cells.append(CellBest(one.cell, rules[best].policy.name, round(cost, 1), cost >= LEAST_US))
        if cost >= LEAST_US:
            counted.append((one, best))
    costs = np.array([one.costs_us for one, _ in counted])
    chosen = np.array([best for _, best in counted])
    regrets = regrets_of(costs, chosen)
    generator = np.random.default_rng(_SEED)
    picks = generator.integers(0, costs.shape[2], (_N_RESAMPLES, costs.shape[2]))
    drawn = np.array([_worst(regrets_of(costs[:, :, pick], chosen)) for pick in picks])
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    worst, n_lost = _worst(regrets), np.isnan(costs)
    rows = []
    for place, rule in enumerate(rules):
        at = int(np.nanargmax(regrets[place])) if np.isfinite(regrets[place]).any() else 0
        rows.append(
            RuleRegret(
                rule=rule.policy.name,
                title=rule.policy.title,
                is_fixed=rule.is_fixed,
                needs_kvm_change=not rule.policy.is_mergeable,
                worst=round(float(worst[place]), 1),
                low=round(float(low[place]), 1),
                high=round(float(high[place]), 1),
                worst_cell=counted[at][0].cell,
                median=round(float(np.nanmedian(regrets[place])), 1),
                n_best=int((chosen == place).sum()),
                n_lost=int(n_lost[:, place].sum()),
                lost_cells=int(n_lost[:, place].any(axis=1).sum()),
            )
        )
    return cells, rows
