"""Two rankings of the same policies: how alike they are, and who moves."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

SAME = 0.02  # costs that differ by less of the larger one differ by nothing that matters


def signs(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each pair which one costs more, shape (n, n): -1, 1, or 0 within `SAME`.

    Args:
        costs: Shape (n,).
    """
    difference = costs[:, None] - costs
    larger = np.maximum(costs[:, None], costs)
    is_same = np.abs(difference) <= SAME * larger
    return np.where(is_same, 0, np.sign(difference)).astype(np.int64)


def kendall(before: NDArray[np.float64], after: NDArray[np.float64]) -> float | None:
    """Return Kendall's tau-b of two orders by cost; None if one of them has no order.

    Pairs whose costs are the same within `SAME` are ties.

    Args:
        before: Costs, shape (n,).
        after: Costs of the same n, shape (n,).

    Source:
        M. Kendall, "The treatment of ties in ranking problems", 1945.
    """
    first, second = signs(before), signs(after)
    n_ordered = np.sqrt(float((first**2).sum()) * float((second**2).sum()))
    return None if n_ordered == 0 else float((first * second).sum() / n_ordered)


def places(costs: Mapping[str, float]) -> dict[str, int]:
    """Return each one's place: 1 and how many are cheaper by more than `SAME`."""
    dearer = signs(np.array(list(costs.values()))).clip(0).sum(axis=1)
    return dict(zip(costs, (1 + dearer).tolist(), strict=True))


def movers(
    before: Mapping[str, float], after: Mapping[str, float], n_most: int
) -> list[tuple[str, int, int]]:
    """Return who changes place by most: name, place before and after; the largest change first."""
    first, second = places(before), places(after)
    moved = [(name, first[name], second[name]) for name in before if first[name] != second[name]]
    return sorted(moved, key=lambda one: -abs(one[1] - one[2]))[:n_most]
