"""The forest: a policy's cost as a multiple of another's in every scenario, with its interval."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tdx_eval.comparing.precision import smallest_seen
from tdx_eval.comparing.summary import Difference, ScenarioResult, Summary
from tdx_eval.comparing.yardsticks import KICK, RETRY
from tdx_eval.reporting.charts import (
    BAND_FILL,
    BETTER,
    INK,
    NEUTRAL,
    SOFT,
    WORSE,
    Chart,
    spec,
)
from tdx_eval.reporting.verdicts import (
    BAND,
    Verdict,
    factor_text,
    interval_text,
    lost_between,
    tally_text,
    verdict_on,
)
from tdx_eval.reporting.wording import factor

_ROW, _NARROW_ROW = 15, 19  # height of a scenario [pixels]
_WIDTHS = (560, 330)  # of the first panel and of the second [pixels]
_NARROW = 205
_LEAST = 1e-6
_WIDE = 40  # domains beyond it have powers of ten as ticks
_MOST_TICKS = 8
_FINE = (0.05, 0.1, 0.2, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 5.0, 10.0, 20.0)
_COLOURS = {
    Verdict.BETTER: BETTER,
    Verdict.WORSE: WORSE,
    Verdict.NO_DIFFERENCE: NEUTRAL,
    Verdict.NOT_TOLD_APART: NEUTRAL,
}
_LABEL = (
    "datum.value == 1 ? 'same' : datum.value <= 0.5 ? '÷' + format(1 / datum.value, ',.3~r') : "
    "datum.value >= 2 ? '×' + format(datum.value, ',.3~r') : format(datum.value - 1, '+.0%')"
)


@dataclass(frozen=True)
class Panel:
    """One policy against another.

    Attributes:
        policy: Whose cost is shown.
        other: What it is a multiple of.
        title: What is compared.
        difference: Returns the difference in a scenario; None if it was not played there.
    """

    policy: str
    other: str
    title: str
    difference: Callable[[ScenarioResult], Difference | None]


def _to_best(contender: str, scenario: ScenarioResult) -> Difference:
    """Return a contender's difference to the best policy in a scenario."""
    return scenario.contests[contender].to_best


def panels(summary: Summary) -> list[Panel]:
    """Return what is compared: the best policy with what Linux does, then what was trained."""
    best, reference = summary.best, summary.reference
    found = []
    if best != reference:
        title = f"{best} against what Linux 6.16 does ({reference})"
        found.append(Panel(best, reference, title, lambda one: one.results[best].to_reference))
    for name in summary.contenders[:1]:
        title = f"{name} against {best}"
        found.append(Panel(name, best, title, partial(_to_best, name)))
    if len(found) < len(_WIDTHS) and any(KICK in one.answers for one in summary.contested):
        title = f"{KICK} against {RETRY}, one discipline"
        found.append(Panel(KICK, RETRY, title, lambda one: one.answers.get(KICK)))
    return found


def _order(panel: Panel, scenarios: list[ScenarioResult]) -> list[ScenarioResult]:
    """Return scenarios by the factor of a panel, largest saving first."""

    def key(one: ScenarioResult) -> float:
        found = panel.difference(one)
        return found.relative.value if found and found.relative else 0.0

    return sorted(scenarios, key=key)


def _row(panel: Panel, one: ScenarioResult) -> dict[str, Any] | None:
    """Return what a panel shows of a scenario; None: there is nothing to show."""
    found = panel.difference(one)
    if found is None or found.relative is None:
        return None
    low, value, high = (
        round(max(1 + share, _LEAST), 7)
        for share in (found.relative.low, found.relative.value, found.relative.high)
    )
    told = verdict_on(found, one.n_episodes)
    return {
        "scenario": f"{one.short_name} (n={one.n_episodes})",
        "id": one.short_name,
        "low": low,
        "value": value,
        "high": high,
        "verdict": told.value,
        "colour": _COLOURS[told],
        "cost": factor_text(found),
        "interval": interval_text(found),
        "seen": factor(smallest_seen(found.relative)),
        "lost": lost_between(one, panel.policy, panel.other),
        "side": "left" if value <= 1 else "right",
    }


def _tooltip() -> list[dict[str, str]]:
    """Return what hovering shows."""
    names = {
        "scenario": "scenario",
        "cost": "cost",
        "interval": "95 % interval",
        "verdict": "verdict",
        "lost": "lost TDs",
    }
    return [{"field": field, "title": title} for field, title in names.items()]


def _domain(rows: list[dict[str, Any]], has_text: bool) -> list[float]:
    """Return the ends of the axis, with room for texts."""
    low, high = min(0.8, *(row["low"] for row in rows)), max(1.25, *(row["high"] for row in rows))
    margin = (high / low) ** (0.06 if has_text else 0.02)
    return [low / margin, high * margin]


def _ticks(domain: list[float]) -> list[float]:
    """Return the places of an axis that are named: powers of ten, or finer ones between them."""
    low, high = domain
    if high / low > _WIDE:
        first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
        step = 1 if last - first < _MOST_TICKS else 2
        powers = {10.0**power for power in range(0, last + 1, step)}
        powers |= {10.0**power for power in range(0, first - 1, -step)}
        return sorted(powers)
    return [one for one in _FINE if low <= one <= high]


def _layers(rows: list[dict[str, Any]], order: list[str], axis: bool, text: bool) -> list[Any]:
    """Return the layers of a panel: band, line, intervals, points, lost TDs."""
    y = {
        "field": "scenario",
        "type": "nominal",
        "sort": order,
        "axis": {"title": None, "domain": False, "ticks": False, "grid": False} if axis else None,
    }
    domain = _domain(rows, text)
    x_axis = {"title": None, "labelExpr": _LABEL, "values": _ticks(domain), "labelOverlap": True}
    scale = {"type": "log", "domain": domain, "nice": False}
    x = {"type": "quantitative", "scale": scale, "axis": x_axis}
    colour = {"field": "colour", "type": "nominal", "scale": None, "legend": None}
    band = {
        "data": {"values": [{"from": 1 - BAND, "to": 1 + BAND}]},
        "mark": {"type": "rect", "color": BAND_FILL},
        "encoding": {"x": {**x, "field": "from"}, "x2": {"field": "to"}},
    }
    same = {
        "data": {"values": [{"at": 1}]},
        "mark": {"type": "rule", "color": SOFT},
        "encoding": {"x": {**x, "field": "at"}},
    }
    intervals = {
        "mark": {"type": "rule", "strokeWidth": 3, "strokeCap": "round"},
        "encoding": {
            "x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y, "color": colour,
            "tooltip": _tooltip(),
        },
    }  # fmt: skip
    points = {
        "mark": {"type": "point", "filled": True, "size": 62, "opacity": 1},
        "encoding": {
            "x": {**x, "field": "value"}, "y": y, "color": colour, "tooltip": _tooltip(),
            "shape": {
                "condition": {"test": "datum.lost != ''", "value": "cross"}, "value": "circle",
            },
        },
    }  # fmt: skip
    layers: list[Any] = [band, same, intervals, points]
    for side, align, offset in (("left", "left", 10), ("right", "right", -10)):
        if text and any(row["lost"] and row["side"] == side for row in rows):
            layers.append(
                {
                    "transform": [{"filter": f"datum.lost != '' && datum.side == '{side}'"}],
                    "mark": {"type": "text", "align": align, "dx": offset, "fontSize": 11,
                             "color": INK},
                    "encoding": {
                        "x": {**x, "field": "high" if side == "left" else "low"}, "y": y,
                        "text": {"field": "lost"},
                    },
                }
            )  # fmt: skip
    return layers


def _panel_spec(
    panel: Panel, scenarios: list[ScenarioResult], width: int, step: int, axis: bool
) -> dict[str, Any]:
    """Return one panel."""
    rows = [row for one in scenarios if (row := _row(panel, one))]
    order = [f"{one.short_name} (n={one.n_episodes})" for one in scenarios]
    is_narrow = width == _NARROW
    finding = f"{_told(panel, scenarios)}."
    title: dict[str, Any] = {"text": panel.title, "subtitle": finding}
    if is_narrow:
        title = {"text": panel.title.split(" against "), "subtitle": finding.split(", ")}
    return {
        "title": title,
        "width": width,
        "height": {"step": step},
        "data": {"values": rows},
        "layer": _layers(rows, order, axis, not is_narrow),
    }


def _table(
    shown: list[Panel], scenarios: list[ScenarioResult]
) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of what the forest shows."""
    heads = ["scenario", "n"]
    for panel in shown:
        heads += [f"cost against {panel.other}: {panel.policy}", "95 % interval"]
        heads += ["found in 4 of 5 runs from", "verdict", "lost"]
    rows = []
    for one in scenarios:
        row = [one.short_name, f"{one.n_episodes:,}"]
        for panel in shown:
            found = _row(panel, one)
            keys = ("cost", "interval", "seen", "verdict", "lost")
            row += [found[key] for key in keys] if found else ["–"] * len(keys)
        rows.append(row)
    return heads, rows


def _told(panel: Panel, scenarios: list[ScenarioResult]) -> str:
    """Return a panel's finding."""
    found = [
        verdict_on(difference, one.n_episodes)
        for one in scenarios
        if (difference := panel.difference(one))
    ]
    return tally_text(found)


def forest_chart(summary: Summary) -> Chart | None:
    """Return the forest of all scenarios with contention; None: there is nothing to show."""
    shown = [
        panel for panel in panels(summary) if any(_row(panel, one) for one in summary.contested)
    ]
    if not shown:
        return None
    scenarios = _order(shown[0], summary.contested)
    heads, rows = _table(shown, scenarios)
    wide = [
        _panel_spec(panel, scenarios, width, _ROW, place == 0)
        for place, (panel, width) in enumerate(zip(shown, _WIDTHS, strict=False))
    ]
    narrow = [_panel_spec(panel, scenarios, _NARROW, _NARROW_ROW, True) for panel in shown]
    return Chart(
        name="forest",
        title=". ".join(f"{panel.title}: {_told(panel, scenarios)}" for panel in shown),
        wide=spec({"hconcat": wide, "spacing": 24}),
        narrow=spec({"vconcat": narrow, "spacing": 24}),
        heads=heads,
        rows=rows,
    )
