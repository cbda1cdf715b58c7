"""The comparison in the terminal: the sentences and the main table."""

from rich.console import Console
from rich.table import Table

from eval.findings import loss_text, losses, sentences
from eval.statistics import Estimate
from eval.summary import Difference, ScenarioResult, Summary
from eval.wording import NOTHING, number, percent, percent_interval, verdict

_COLOURS = {"better": "green", "worse": "red", "even": "default"}


def _relative(difference: Difference) -> str:
    """Return a relative difference, coloured if it is significant."""
    if difference.relative is None:
        return NOTHING
    colour = _COLOURS[verdict(difference.cycles)]
    return f"[{colour}]{percent(difference.relative.value)}[/]"


def _with_interval(difference: Difference) -> str:
    """Return a relative difference with its interval on a second line."""
    relative: Estimate | None = difference.relative
    below = f"\n[dim]{percent_interval(relative)}[/]" if relative else ""
    return _relative(difference) + below


def _table(summary: Summary, scenarios: list[ScenarioResult], title: str) -> Table:
    """Return the main table of some scenarios."""
    table = Table(title=title, title_justify="left", show_lines=False)
    table.add_column("scenario", no_wrap=True)
    table.add_column("P18 [µs]", justify="right")
    table.add_column("best [µs]", justify="right")
    table.add_column("best to P18", justify="right")
    for name in summary.contenders:
        table.add_column(f"{name} [µs]", justify="right")
        table.add_column("to P18", justify="right")
        table.add_column("to best", justify="right")
    for one in scenarios:
        best = one.results[summary.best]
        cells = [
            one.short_name,
            number(one.us(one.results[summary.reference].cost.value)),
            number(one.us(best.cost.value)),
            _with_interval(best.to_reference),
        ]
        for name in summary.contenders:
            cells += [
                number(one.us(one.results[name].cost.value)),
                _with_interval(one.results[name].to_reference),
                _with_interval(one.contests[name].to_best),
            ]
        table.add_row(*cells)
    return table


def show(summary: Summary, console: Console) -> None:
    """Print the summary."""
    for text in sentences(summary):
        console.print(text, highlight=False, markup=False)
    console.print()
    caption = f"Mean cost of an episode; P18: {summary.reference}; best: {summary.best}"
    if summary.contested:
        console.print(_table(summary, summary.contested, caption))
    if summary.controls:
        console.print(_table(summary, summary.controls, "Controls: hardly any decision"))
    found = losses(summary)
    if found:
        console.print("Where contenders lose:")
    for loss in found:
        text = f"  {loss.scenario.short_name}: {loss.contender} {loss_text(loss)}"
        console.print(text, highlight=False, markup=False)
