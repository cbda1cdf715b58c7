"""How alike two rankings of the same policies are.

Kendall's tau-b, since ties are real here: many policies come out alike in a scenario, and it has a
plain meaning, the share of the pairs of policies that keep their order less the share that swap.
Spearman's coefficient has neither. Two means that differ by at most TIE_SHARE are a tie: policies
that lose the same TD after some microseconds differ by a few cycles in a hundred million.
"""

import numpy as np
from numpy.typing import NDArray

from tdx_eval.comparing.statistics import Values

TIE_SHARE = 0.01  # of the larger mean


def _order(means: Values) -> NDArray[np.float64]:
    """Return for each pair which one is dearer: 1, -1, or 0 for a tie; shape (n, n)."""
    difference = means[:, None] - means[None, :]
    larger = np.maximum(means[:, None], means[None, :])
    return np.where(np.abs(difference) <= TIE_SHARE * larger, 0.0, np.sign(difference))


def tau(means: Values, others: Values) -> float | None:
    """Return Kendall's tau-b of two rankings.

    Args:
        means: Each policy's mean cost, shape (n,), not negative.
        others: The same policies' other mean costs, shape (n,).

    Returns:
        From -1 (all reversed) to 1 (all the same); None if one of them is one great tie.
    """
    order, other = _order(means), _order(others)
    size = float(np.sqrt((order**2).sum() * (other**2).sum()))
    return float((order * other).sum()) / size if size else None
