"""A map as one page: the picture, its finding, and its table."""

import math
from itertools import pairwise
from typing import Any

from tdx_eval.mapping.axis import Axis
from tdx_eval.mapping.border import border_of
from tdx_eval.mapping.grid import Grid, MapCell
from tdx_eval.reporting.charts import BETTER, spec, svg
from tdx_eval.reporting.html import environment
from tdx_eval.reporting.verdicts import BAND
from tdx_eval.reporting.wording import duration, factor, listing

_SIZE = 640, 420  # [pixels]
_LEAST_SCALE = math.log(2)
_DASH = [6, 4]


def cell_text(cell: MapCell) -> str:
    """Return a cell's factor; † if the first policy lost TDs there, ‡ if the second did."""
    if cell.relative is None:
        return "–"
    marks = ("†" if cell.n_lost[0] else "") + ("‡" if cell.n_lost[1] else "")
    return factor(cell.relative.value) + marks


def value_text(axis: Axis, value: float, clock_khz: int) -> str:
    """Return a parameter's value: a cost as a time."""
    return duration(value * 1000 / clock_khz) if axis.is_cost else f"{value:,.0f}"


def _counts(grid: Grid) -> tuple[int, int, int]:
    """Return in how many cells the first policy is cheaper, dearer, and neither."""
    better = sum(one.relative is not None and one.relative.high < -BAND for one in grid.cells)
    worse = sum(one.relative is not None and one.relative.low > BAND for one in grid.cells)
    return better, worse, len(grid.cells) - better - worse


def map_finding(grid: Grid) -> str:
    """Return what the map shows, in one line."""
    better, worse, neither = _counts(grid)
    n, border = len(grid.cells), border_of(grid)
    if not border:
        side = "nowhere cheaper" if not better else "nowhere dearer" if not worse else "mixed"
        text = f"{grid.policy} is {side} than {grid.other} in {n} cells: no border is crossed"
    else:
        text = f"{grid.policy} is cheaper than {grid.other} in {better} of {n} cells"
        text += f", dearer in {worse}"
        (x, y), *rest = border
        at = value_text(grid.y, y, grid.clock_khz)
        text += f"; they break even at {grid.y.key} = {at} for {grid.x.key} = {x:,}"
        if rest:
            last_x, last_y = rest[-1]
            text += f", at {value_text(grid.y, last_y, grid.clock_khz)} for {last_x:,}"
    return f"{text} ({neither} not told apart)" if neither else text


def _edges(axis: Axis) -> list[float]:
    """Return where the cells of an axis end: half way between values, on a logarithmic scale."""
    logs = [math.log(one) for one in axis.values]
    inner = [(one + other) / 2 for one, other in pairwise(logs)]
    first, last = 2 * logs[0] - inner[0], 2 * logs[-1] - inner[-1]
    return [math.exp(one) for one in (first, *inner, last)]


def _rows(grid: Grid) -> list[dict[str, Any]]:
    """Return the cells as the chart takes them."""
    xs, ys = _edges(grid.x), _edges(grid.y)
    rows = []
    for cell in grid.cells:
        column, row = grid.x.values.index(cell.x), grid.y.values.index(cell.y)
        rows.append(
            {
                "x": cell.x, "y": cell.y, "text": cell_text(cell),
                "left": xs[column], "right": xs[column + 1],
                "bottom": ys[row], "top": ys[row + 1],
                "log": 0.0 if cell.ratio is None else math.log(max(cell.ratio, 1e-9)),
            }
        )  # fmt: skip
    return rows


def _axis(axis: Axis, edges: list[float], clock_khz: int) -> dict[str, Any]:
    """Return the encoding of an axis."""
    unit = " [µs]" if axis.is_cost else ""
    label = f"format(datum.value / {clock_khz / 1000}, ',.3~r')" if axis.is_cost else "datum.value"
    return {
        "type": "quantitative",
        "scale": {"type": "log", "domain": [edges[0], edges[-1]], "nice": False},
        "axis": {
            "title": f"{axis.key}{unit}", "values": list(axis.values), "labelExpr": label,
            "grid": False, "labelOverlap": True,
        },
    }  # fmt: skip


def _ranges(grid: Grid, x: dict[str, Any], y: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of what the scenario itself assumes, as far as they lie in the picture."""
    layers: list[dict[str, Any]] = []
    for name, encoding, ends, axis in (
        ("x", x, grid.ranges[0], grid.x),
        ("y", y, grid.ranges[1], grid.y),
    ):
        edges = _edges(axis)
        seen = sorted({end for end in ends or () if edges[0] <= end <= edges[-1]})
        if seen:
            layers.append(
                {
                    "data": {"values": [{"at": end} for end in seen]},
                    "mark": {
                        "type": "rule",
                        "color": BETTER,
                        "strokeDash": _DASH,
                        "strokeWidth": 2,
                    },
                    "encoding": {name: {**encoding, "field": "at"}},
                }
            )
    return layers


def map_spec(grid: Grid) -> dict[str, Any]:
    """Return the picture: cells by colour, break-even border, what is assumed."""
    x = _axis(grid.x, _edges(grid.x), grid.clock_khz)
    y = _axis(grid.y, _edges(grid.y), grid.clock_khz)
    rows = _rows(grid)
    most = max(_LEAST_SCALE, *(abs(row["log"]) for row in rows))
    colour = {
        "field": "log", "type": "quantitative", "legend": None,
        "scale": {"domain": [-most, 0, most], "range": ["#e8a05c", "#f7f7f7", "#9483c4"]},
    }  # fmt: skip
    place = {"x": {**x, "field": "left"}, "x2": {"field": "right"},
             "y": {**y, "field": "bottom"}, "y2": {"field": "top"}}  # fmt: skip
    centre = {"x": {**x, "field": "x"}, "y": {**y, "field": "y"}}
    layers: list[dict[str, Any]] = [
        {"mark": "rect", "encoding": {**place, "color": colour}},
        *_ranges(grid, x, y),
        {
            "mark": {"type": "text", "fontSize": 12, "color": "#111111"},
            "encoding": {**centre, "text": {"field": "text"}},
        },
    ]
    border = [{"x": a, "y": b} for a, b in border_of(grid)]
    if border:
        mark = {"type": "line", "color": "#000000", "strokeWidth": 3, "point": len(border) == 1}
        layers.append({"data": {"values": border}, "mark": mark, "encoding": centre})
    width, height = _SIZE
    return spec({"width": width, "height": height, "data": {"values": rows}, "layer": layers})


def range_text(grid: Grid) -> str:
    """Say what the dashed lines are."""
    told = []
    for axis, ends in ((grid.x, grid.ranges[0]), (grid.y, grid.ranges[1])):
        if ends is not None:
            low, high = (value_text(axis, end, grid.clock_khz) for end in ends)
            told.append(f"{axis.key} {low if low == high else f'{low} to {high}'}")
    return f"Dashed: what the scenario assumes ({listing(told)})." if told else ""


def map_page(grid: Grid) -> str:
    """Return the map as one self-contained page."""
    templates = environment(__package__)
    templates.globals |= {"cell_text": cell_text, "value_text": value_text}
    return templates.get_template("map.html").render(
        grid=grid,
        finding=map_finding(grid),
        picture=svg(map_spec(grid), map_finding(grid)),
        ranges=range_text(grid),
    )
