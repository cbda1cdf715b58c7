"""What policies pay for: the cost of each scenario, shared out among six kinds of waste."""

from typing import Any

from tdx_eval.comparing.summary import PolicyResult, ScenarioResult, Summary
from tdx_eval.reporting.charts import Chart, spec
from tdx_eval.reporting.wording import PERCENT, duration

KINDS = {
    "vCPUs stopped by kicks": ("kick_target", "ipi_send", "kick_wait", "gated"),
    "busy calls and deciding": (
        "seamcall_busy",
        "decision",
        "guest_busy",
        "guest_priority_stall",
    ),
    "waiting for locks": ("mmu_lock_wait", "seamcall_lock_wait", "pamt_lock_wait"),
    "repeated faults": ("refault", "synthetic_exit", "unwind"),
    "off the CPU": ("yield",),
    "lost TDs and long stretches": ("preempt_penalty", "tail_cost"),
}
"""Each part of the cost belongs to one kind."""

COLOURS = ("#d55e00", "#0072b2", "#8a63b0", "#b38600", "#3a9b7a", "#8d8d8d")
_ROW, _NARROW_ROW = 16, 17
_WIDTHS = {1: 700, 2: 400, 3: 262}
_NARROW = 200


def kinds_of(result: PolicyResult) -> dict[str, float]:
    """Return a policy's mean cost by kind; they sum to it [cycles]."""
    return {
        kind: sum(result.parts.get(part, 0.0) for part in parts) for kind, parts in KINDS.items()
    }


def track_cycles(result: PolicyResult) -> float:
    """Return what TRACK's own kicks and the shared flush come to in an episode [cycles]."""
    return max(0.0, result.overhead - result.wasted)


def charted_policies(summary: Summary) -> list[str]:
    """Return whose costs are shown."""
    return list(dict.fromkeys([summary.reference, summary.best, *summary.contenders[:1]]))


def _rows(summary: Summary, name: str) -> list[dict[str, Any]]:
    """Return the shares of one policy in all scenarios."""
    rows = []
    for one in summary.contested:
        kinds = kinds_of(one.results[name])
        total = sum(kinds.values())
        for place, (kind, cycles) in enumerate(kinds.items()):
            if total and cycles > 0:
                rows.append(
                    {
                        "scenario": one.short_name,
                        "kind": kind,
                        "place": place,
                        "share": round(cycles / total, 4),
                        "cost": duration(one.us(cycles)),
                    }
                )
    return rows


def mean_shares(summary: Summary, name: str) -> dict[str, float]:
    """Return each kind's share of a policy's cost, the mean of the scenarios where it has one."""
    found = [kinds_of(one.results[name]) for one in summary.contested]
    found = [kinds for kinds in found if sum(kinds.values())]
    return {
        kind: sum(kinds[kind] / sum(kinds.values()) for kinds in found) / len(found)
        for kind in (KINDS if found else ())
    }


def _panel(summary: Summary, name: str, width: int, step: int, axis: bool) -> dict[str, Any]:
    """Return the bars of one policy."""
    y_axis = {"title": None, "domain": False, "ticks": False, "grid": False}
    return {
        "title": name,
        "width": width,
        "height": {"step": step},
        "data": {"values": _rows(summary, name)},
        "mark": {"type": "bar"},
        "encoding": {
            "y": {
                "field": "scenario",
                "type": "nominal",
                "sort": [one.short_name for one in summary.contested],
                "scale": {"domain": [one.short_name for one in summary.contested]},
                "axis": y_axis if axis else None,
            },
            "x": {
                "field": "share",
                "type": "quantitative",
                "stack": "zero",
                "scale": {"domain": [0, 1]},
                "axis": {"title": None, "format": ".0%", "tickCount": 4},
            },
            "order": {"field": "place", "type": "quantitative"},
            "color": {
                "field": "kind",
                "type": "nominal",
                "scale": {"domain": list(KINDS), "range": list(COLOURS)},
                "legend": {"title": None, "orient": "top", "columns": 3 if width > _NARROW else 1,
                           "labelLimit": 260},
            },
            "tooltip": [{"field": field} for field in ("scenario", "kind", "cost")],
        },
    }  # fmt: skip


def _title(summary: Summary) -> str:
    """Return the finding: what each policy pays most for."""
    told = []
    for name in charted_policies(summary):
        shares = mean_shares(summary, name)
        if shares:
            kind = max(shares, key=shares.__getitem__)
            told.append(f"{name} pays mostly for {kind} ({100 * shares[kind]:.0f}{PERCENT})")
    return "; ".join(told) or "No policy paid for anything"


def _table_row(one: ScenarioResult, name: str) -> list[str]:
    """Return a row of the table: a policy in a scenario."""
    result = one.results[name]
    cells = [duration(one.us(cycles)) for cycles in kinds_of(result).values()]
    track = duration(one.us(track_cycles(result)))
    return [one.short_name, name, *cells, duration(one.us(result.cost.value)), track]


def shares_chart(summary: Summary) -> Chart | None:
    """Return what the reference, the best policy and a contender pay for; None: no scenario."""
    names = charted_policies(summary)
    if not any(_rows(summary, name) for name in names):
        return None
    width = _WIDTHS[len(names)]
    heads = ["scenario", "policy", *KINDS, "cost", "beside it: TRACK’s own kick"]
    wide = [_panel(summary, name, width, _ROW, place == 0) for place, name in enumerate(names)]
    narrow = [_panel(summary, name, _NARROW, _NARROW_ROW, True) for name in names]
    return Chart(
        name="shares",
        title=_title(summary),
        wide=spec({"hconcat": wide, "spacing": 20}),
        narrow=spec({"vconcat": narrow, "spacing": 20}),
        heads=heads,
        rows=[_table_row(one, name) for one in summary.contested for name in names],
    )
