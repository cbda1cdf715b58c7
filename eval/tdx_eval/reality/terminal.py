"""The table in the terminal: one line for each row, and why rows don't hold."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from tdx_eval.reality.row import Kind, RealityTable, RowResult, RowVerdict
from tdx_eval.reality.wording import observed_number, simulated

_COLOURS = {RowVerdict.HOLDS: "green", RowVerdict.FAILS: "red", RowVerdict.NOT_MODELLED: "dim"}


def _section(kind: Kind, results: list[RowResult]) -> Grid:
    """Return the rows of one section."""
    grid = Grid(
        title=kind.value, title_justify="left", box=SIMPLE_HEAD, pad_edge=False,
        collapse_padding=True,
    )  # fmt: skip
    grid.add_column("row", no_wrap=True)
    grid.add_column("observed", justify="right")
    grid.add_column("simulated: median (5 to 95 %)", justify="right")
    grid.add_column("", no_wrap=True)
    for result in results:
        verdict = Text(result.verdict, _COLOURS[RowVerdict(result.verdict)])
        cells = map(Text, (result.id, observed_number(result), simulated(result)))
        grid.add_row(*cells, verdict)
    return grid


def _explain(result: RowResult, console: Console) -> None:
    """Print what was observed and why it isn't what the simulator gives."""
    console.print(f"{result.id}: {result.observed}", markup=False, emoji=False, highlight=False)
    console.print(f"  {result.note}", style="dim", markup=False, emoji=False, highlight=False)


def show_reality(table: RealityTable, console: Console) -> None:
    """Print the table; a single row with all that is known of it."""
    for kind in Kind:
        results = table.of_kind(kind)
        if results:
            console.print(_section(kind, results))
    is_single = len(table.results) == 1
    for result in table.results:
        if is_single or result.verdict == RowVerdict.FAILS:
            _explain(result, console)
    console.print(table.counts, style="bold", highlight=False)
