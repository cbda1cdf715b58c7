"""The command `tdx-eval reality`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_eval.seeds import MAX_SEEDS

if TYPE_CHECKING:
    from tdx_eval.reality.row import Row, Table

_DRAWS = 200
_FEWEST_DRAWS = 10


def _run(rows: "tuple[Row, ...]", n_draws: int) -> "Table":
    """Put the rows to the simulator."""
    from rich.console import Console
    from rich.progress import track

    from tdx_eval.reality.row import Table
    from tdx_eval.reality.table import check, running_order
    from tdx_eval.versions import versions

    console = Console(stderr=True)
    steps = track(running_order(rows), "rows", console=console, transient=True)
    found = {row.id: check(row, n_draws) for row in steps}
    return Table(tuple(found[row.id] for row in rows), n_draws, versions())


def _write(table: "Table", folder: Path) -> None:
    """Write the table as JSON and as a page."""
    from tdx_eval.interrupts import interrupts_delayed
    from tdx_eval.output import write_text
    from tdx_eval.reality.file import JSON, PAGE, as_json
    from tdx_eval.reality.page import html

    folder.mkdir(parents=True, exist_ok=True)
    with interrupts_delayed():
        write_text(folder / JSON, as_json(table))
        write_text(folder / PAGE, html(table))
    print(f"table: {folder / PAGE}")


def reality(
    draws: Annotated[
        int, typer.Option(min=_FEWEST_DRAWS, max=MAX_SEEDS, help="Draws of all costs for each row")
    ] = _DRAWS,
    row: Annotated[list[str] | None, typer.Option(help="One row; repeatable")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for reality.json and reality.html")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the table of an earlier run")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table")] = False,
) -> None:
    """Compare the simulator with what was observed of TDX and KVM, row by row."""
    from rich.console import Console

    from tdx_env.engine.warm import warm_up
    from tdx_eval.output import check
    from tdx_eval.reality.file import as_json
    from tdx_eval.reality.table import find
    from tdx_eval.reality.terminal import show

    rows = find(row or [])
    if out is not None:
        check(out, overwrite)
    warm_up()
    table = _run(rows, draws)
    if json:
        print(as_json(table), end="")
    else:
        show(table, Console())
    if out is not None:
        _write(table, out)
