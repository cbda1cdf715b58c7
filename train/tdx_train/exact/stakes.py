"""How much a decision counts when a network is fitted, and what each answer to it is worth.

Costs of scenarios differ by orders of magnitude, and so does the number of their decisions; where
answers hardly matter, differences are luck. So every group, a scenario's decisions of one kind, has
a weight of its own: what is at stake in it, less what luck explains.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdx_train.exact.gathering import N_KINDS, Decided

_FULL = 0.2  # of an episode's cost at stake: the group has its full weight
_LEAST = 2  # decisions of a group, to tell luck


class Stakes(NamedTuple):
    """What a network is fitted to.

    Attributes:
        costs: Of each answer above the base's, a share of an episode's cost; what is masked is 0,
            shape (n, N_ACTIONS).
        weights: Of each decision, sum about the number of groups, shape (n,).
    """

    costs: NDArray[np.float64]
    weights: NDArray[np.float64]


def stakes_of(
    decided: Decided,
    weights: NDArray[np.float64],
    scales: NDArray[np.float64],
    caution: float,
) -> Stakes:
    """Return what answers are worth, each under its scenario's objective.

    Args:
        decided: The decisions.
        weights: Of each scenario's objective, shape (n_scenarios, N_WEIGHED).
        scales: Cost of an episode of each scenario, shape (n_scenarios,) [cycles].
        caution: What an answer other than the base's has to gain, in standard errors of its group.
    """
    rows = np.arange(len(decided.base))
    of_scenario = weights / scales[:, None]
    costs = np.einsum("nakp,np->nak", decided.parts, of_scenario[decided.scenario])
    gains = np.where(decided.masks[..., None] != 0, costs - costs[rows, decided.base][:, None], 0.0)
    n_futures = gains.shape[2]
    errors = gains.std(axis=2, ddof=1 if n_futures > 1 else 0) / np.sqrt(n_futures)
    above, shares = gains.mean(axis=2), np.zeros(len(rows))
    groups = decided.scenario * N_KINDS + decided.kind
    for group in np.unique(groups):
        which = np.flatnonzero(groups == group)
        if len(which) < _LEAST:
            continue
        error = float(np.sqrt((errors[which] ** 2).mean()))
        shares[which] = _weight(above[which], error, decided.stands_for[which])
        is_other = np.arange(above.shape[1]) != decided.base[which][:, None]
        above[which] += caution * error * (is_other & (decided.masks[which] != 0))
    return Stakes(above, shares)


def _weight(above: NDArray[np.float64], error: float, stands_for: NDArray[np.float64]) -> float:
    """Return the weight of each decision of a group."""
    spread = np.abs(above).max(axis=1)
    total = float(spread.sum())
    if total == 0:
        return 0.0
    beyond_luck = float(np.maximum(spread - error, 0).sum()) / total
    at_stake = float(spread.mean()) * np.sqrt(float(stands_for.sum()))
    return min(1.0, at_stake / _FULL) * beyond_luck / total
