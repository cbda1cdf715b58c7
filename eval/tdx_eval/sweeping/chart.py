"""The chart of a sweep: cost and longest non-preemptible stretch against the number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tdx_agents.varied import varied_spec
from tdx_eval.comparing.summary import ScenarioResult, Summary
from tdx_eval.reporting.charts import Chart, spec
from tdx_eval.reporting.wording import duration

_WIDTH, _NARROW, _HEIGHT = 330, 200, 130
_SERIES = (("cost", "cost [µs]"), ("stretch", "longest stretch [µs]"))


@dataclass(frozen=True)
class Point:
    """A policy at one value.

    Attributes:
        policy: Its name before the change.
        value: The number.
        name: The row's name.
    """

    policy: str
    value: int
    name: str


def swept(summary: Summary) -> dict[str, list[Point]]:
    """Return the rows of each swept field, in order of their values."""
    found: dict[str, list[Point]] = {}
    for name in summary.policies:
        parts = varied_spec(name)
        if parts is not None:
            policy, field, value = parts
            found.setdefault(field, []).append(Point(policy, int(value), name))
    return {field: sorted(some, key=lambda one: one.value) for field, some in found.items()}


def _values(one: ScenarioResult, points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return what is drawn of a scenario."""
    rows = []
    for point in points:
        result = one.results[point.name]
        rows.append(
            {
                "policy": point.policy,
                "value": point.value,
                "cost": round(one.us(result.cost.value), 3),
                "stretch": round(one.us(result.worst["longest_nonpreemptible_cycles"]), 3),
                "lost": result.n_lost,
            }
        )
    return rows


def _panel(
    one: ScenarioResult, field: str, points: Sequence[Point], series: tuple[str, str], width: int
) -> dict[str, Any]:
    """Return one line chart."""
    key, title = series
    lowest = min(point.value for point in points)
    scale = {"type": "log" if lowest > 0 else "symlog"}
    encoding = {
        "x": {"field": "value", "type": "quantitative", "scale": scale, "axis": {"title": field}},
        "y": {
            "field": key,
            "type": "quantitative",
            "scale": {"type": "symlog"},
            "axis": {"title": title, "tickCount": 4},
        },
        "color": {
            "field": "policy",
            "type": "nominal",
            "legend": {"title": None, "orient": "top", "columns": 2},
        },
        "tooltip": [{"field": name} for name in ("policy", "value", "cost", "stretch", "lost")],
    }
    return {
        "title": f"{one.short_name}: {title}",
        "width": width,
        "height": _HEIGHT,
        "data": {"values": _values(one, points)},
        "mark": {"type": "line", "point": True},
        "encoding": encoding,
    }


def _title(summary: Summary, field: str, points: Sequence[Point]) -> str:
    """Return the finding: the cheapest value of each scenario."""
    told = []
    for one in summary.scenarios:
        safe = [point for point in points if not one.results[point.name].n_lost]
        if safe:
            best = min(safe, key=lambda point: one.results[point.name].cost.value)
            told.append(f"{one.short_name} {best.value:,}")
    if not told:
        return f"Every value of {field} loses a TD in every scenario"
    return f"The {field} that costs least and loses no TD, on the seeds shown: {', '.join(told)}"


def sweep_chart(summary: Summary, field: str, points: Sequence[Point]) -> Chart:
    """Return the chart of one swept field, a row of two panels for each scenario.

    Args:
        summary: What came of the comparison.
        field: The field.
        points: Its rows.
    """
    wide = [
        {"hconcat": [_panel(one, field, points, series, _WIDTH) for series in _SERIES]}
        for one in summary.scenarios
    ]
    narrow = [
        _panel(one, field, points, series, _NARROW)
        for one in summary.scenarios
        for series in _SERIES
    ]
    rows = []
    for one in summary.scenarios:
        for point in points:
            result = one.results[point.name]
            stretch = result.worst["longest_nonpreemptible_cycles"]
            numbers = (one.us(result.cost.value), one.us(stretch))
            cells = [f"{point.value:,}", *map(duration, numbers), f"{result.n_lost:,}"]
            rows.append([one.short_name, point.policy, *cells])
    return Chart(
        name=f"sweep-{field}",
        title=_title(summary, field, points),
        wide=spec({"vconcat": wide, "spacing": 24}),
        narrow=spec({"vconcat": narrow, "spacing": 20}),
        heads=["scenario", "policy", field, "cost", "longest stretch", "TDs lost"],
        rows=rows,
    )
