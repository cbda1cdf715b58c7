"""The comparison in the terminal: the main table and the sentences above it."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from eval.report import headline_rows, losses, sentences

_COLOURS = {"better": "green", "worse": "red", "even": ""}


def show(summary: Mapping[str, Any], console: Console) -> None:
    """Print the summary."""
    for line in sentences(summary):
        console.print(line, highlight=False)
    table = Table(title="Mean cost of an episode [us of CPU time]", title_justify="left")
    table.add_column("scenario")
    for name in ("reference", "best on validation", "hindsight best", "agent", "agent - best"):
        table.add_column(name, justify="right")
    for row in headline_rows(summary):
        agent = row["agents"][0] if row["agents"] else None
        difference = ""
        if agent:
            colour = _COLOURS[agent["verdict"]]
            difference = (
                f"{agent['to_best']:+,.1f} "
                f"({agent['to_best_low']:+,.1f} to {agent['to_best_high']:+,.1f})"
            )
            difference = f"[{colour}]{difference}[/]" if colour else difference
        table.add_row(
            row["scenario"] + (" (control)" if row["is_control"] else ""),
            f"{row['reference']:,.1f}",
            f"{row['best']:,.1f}" if row["best"] is not None else "-",
            f"{row['hindsight_cost']:,.1f} {row['hindsight']}",
            f"{agent['cost']:,.1f}" if agent else "-",
            difference,
        )
    console.print(table)
    found = losses(summary)
    if found:
        console.print("Where the agent loses:")
        for line in found:
            console.print(f"  {line}", highlight=False)
