"""The comparison in the terminal: the sentences and the main table.

Cells are `Text`, not strings: a string is read as markup, and a user's names may hold brackets.
"""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tdx_eval.comparing.summary import Difference, ScenarioResult, Summary
from tdx_eval.reporting.sentences import defeat_text, defeats, sentences
from tdx_eval.reporting.wording import (
    NOTHING,
    direction,
    duration,
    number,
    percent,
    percent_interval,
)

_LARGE_US = 1000  # costs from here on are shown without decimals
_HUGE_US = 1_000_000  # and from here on in seconds
_NUMBER_WIDTH = 7  # columns of a terminal
_CONTENDER = "new"  # heads a column, where a name can be too long
_COLOURS = {"better": "green", "worse": "red", "even": "default"}


def _relative(difference: Difference) -> Text:
    """Return a relative difference, coloured if it is significant."""
    if difference.relative is None:
        return Text(NOTHING)
    return Text(percent(difference.relative.value), _COLOURS[direction(difference.cycles)])


def _with_interval(difference: Difference) -> Text:
    """Return a relative difference with its interval on a second line."""
    relative = difference.relative
    below = f"\n{percent_interval(relative)}" if relative else ""
    return Text.assemble(_relative(difference), (below, "dim"))


def _cost(scenario: ScenarioResult, name: str) -> Text:
    """Return a policy's mean cost, red if it lost an episode: in µs, or in seconds with a unit."""
    result = scenario.results[name]
    us = scenario.us(result.cost.value)
    text = duration(us) if us >= _HUGE_US else number(us, 0 if us >= _LARGE_US else 1)
    return Text(text, "red" if result.n_lost else "default")


def _table(summary: Summary, scenarios: list[ScenarioResult], title: str, contender: str) -> Table:
    """Return the main table of some scenarios, with a contender or (empty name) without."""
    table = Table(
        title=Text(title), title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=0
    )
    table.add_column("scenario", no_wrap=True)
    heads = ["P18", "best", "to P18"] + ([_CONTENDER, "to P18", "to best"] if contender else [])
    for head in heads[:-1]:
        table.add_column(head, justify="right", no_wrap=True, min_width=_NUMBER_WIDTH)
    table.add_column(heads[-1], justify="right")
    for one in scenarios:
        best = one.results[summary.best].to_reference
        row = [_cost(one, summary.reference), _cost(one, summary.best)]
        if contender:
            row += [_relative(best), _cost(one, contender)]
            row += [_relative(one.results[contender].to_reference)]
            row += [_with_interval(one.contests[contender].to_best)]
        else:
            row += [_with_interval(best)]
        table.add_row(Text(one.short_name), *row)
    return table


def show_summary(summary: Summary, console: Console) -> None:
    """Print the summary."""
    for text in sentences(summary):
        console.print(text, highlight=False, markup=False, emoji=False)
    console.print()
    for contender in summary.contenders or [""]:
        title = f"Mean cost of an episode [µs]; P18: {summary.reference}; best: {summary.best}"
        title += f"; {_CONTENDER}: {contender}" if contender else ""
        if summary.contested:
            console.print(_table(summary, summary.contested, title, contender), "")
        if summary.controls:
            title_of_controls = "Controls, where hardly anything is decided [µs]"
            console.print(_table(summary, summary.controls, title_of_controls, contender), "")
    found = defeats(summary)
    if found:
        console.print("Where contenders lose:")
    for defeat in found:
        text = f"  {defeat.scenario.short_name}: {defeat.contender} {defeat_text(defeat)}"
        console.print(text, highlight=False, markup=False, emoji=False)
