"""Where two policies cost the same: between neighbours of which each is cheaper for another."""

import math
from itertools import pairwise

from tdx_eval.mapping.grid import Grid, MapCell


def _log_ratio(cell: MapCell) -> float | None:
    """Return the logarithm of the ratio of costs; None if there is no ratio."""
    return math.log(max(cell.ratio, 1e-9)) if cell.ratio is not None else None


def _crossing(first: MapCell, second: MapCell) -> float | None:
    """Return the y at which the two cost the same, between two cells of one x; None: nowhere.

    The logarithm of the ratio is taken to be straight in the logarithm of y.
    """
    low, high = _log_ratio(first), _log_ratio(second)
    if low is None or high is None or low == high or (low > 0) == (high > 0):
        return None
    share = low / (low - high)
    return math.exp(math.log(first.y) + share * (math.log(second.y) - math.log(first.y)))


def _is_told(cell: MapCell) -> bool:
    """Say whether it is sure which policy is cheaper."""
    return cell.relative is not None and (cell.relative.low > 0 or cell.relative.high < 0)


def border_of(grid: Grid) -> list[tuple[int, float]]:
    """Return the places at which the two policies cost the same: x, and the lowest such y.

    Between the nearest cells of which it is sure who is cheaper: chance makes no border.
    """
    found = []
    for x in grid.x.values:
        column = [one for one in grid.cells if one.x == x and _is_told(one)]
        crossings = [at for one in pairwise(column) if (at := _crossing(*one)) is not None]
        if crossings:
            found.append((x, min(crossings)))
    return found
