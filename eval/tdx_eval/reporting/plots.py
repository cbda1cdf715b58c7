"""The plot of costs by policy and scenario, as SVG that goes into the report."""

import base64
import io
from typing import TYPE_CHECKING, Any

from tdx_eval.comparing.summary import ScenarioResult, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PER_ROW = 3
_ROW_HEIGHT, _HEAD, _WIDTH = 0.185, 0.85, 13.0  # [inches]
_LEAST_US = 0.01  # where a logarithmic axis begins
_LOST, _CONTENDER, _BEST, _OTHER = "#b3261e", "#12805c", "#1f4e9c", "#8a94a6"
_STYLE: Any = {  # its type is all of matplotlib's settings
    "svg.hashsalt": "tdx-env",
    "font.size": 8,
    "axes.edgecolor": "#c9d0db",
}


def _colour(summary: Summary, scenario: ScenarioResult, name: str) -> str:
    """Return the colour of a policy's mark."""
    if scenario.results[name].n_lost:
        return _LOST
    if name in summary.contenders:
        return _CONTENDER
    return _BEST if name in (summary.best, summary.reference) else _OTHER


def _draw(axis: "Axes", summary: Summary, scenario: ScenarioResult, names: list[str]) -> None:
    """Draw one scenario: a dot and an interval for each policy."""
    for place, name in enumerate(names):
        cost = scenario.results[name].cost
        value, low, high = (
            max(scenario.us(cycles), _LEAST_US) for cycles in (cost.value, cost.low, cost.high)
        )
        colour = _colour(summary, scenario, name)
        axis.plot([low, high], [place, place], color=colour, linewidth=1.8, solid_capstyle="round")
        axis.plot(value, place, "o", color=colour, markersize=4.5)
    base = max(scenario.us(scenario.results[summary.reference].cost.value), _LEAST_US)
    axis.axvline(base, color="#c9d0db", linewidth=1, zorder=0)
    axis.set_xscale("log")
    title = axis.set_title(scenario.short_name, fontsize=9, fontweight="bold", loc="left")
    title.set_parse_math(False)  # a user's name may hold a dollar sign
    axis.grid(axis="y", color="#eef1f5", linewidth=0.8, zorder=0)
    axis.tick_params(length=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("µs of CPU time", color="#5b6577")


def costs_svg(summary: Summary) -> str:
    """Return the plot as a data URI: a panel for each scenario with contention."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    scenarios = summary.contested or summary.scenarios
    names = list(summary.policies)
    n_rows = -(-len(scenarios) // _PER_ROW)
    n_columns = min(_PER_ROW, len(scenarios))
    height = n_rows * (_ROW_HEIGHT * len(names) + _HEAD)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).ravel()
        for axis, scenario in zip(axes, scenarios, strict=False):
            _draw(axis, summary, scenario, names)
        for axis in axes[len(scenarios) :]:
            axis.set_axis_off()
        axes[0].set_yticks(range(len(names)), names, parse_math=False)
        axes[0].set_ylim(len(names) - 0.5, -0.5)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
