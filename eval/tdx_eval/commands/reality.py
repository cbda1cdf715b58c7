"""The command `tdx-eval reality`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_eval.commands.libraries import need
from tdx_eval.commands.machine import KernelOption, ModuleOption
from tdx_eval.commands.overwriting import OverwriteOption
from tdx_eval.comparing.seeds import MAX_SEEDS

if TYPE_CHECKING:
    from tdx_eval.comparing.machine import Choice
    from tdx_eval.reality.row import RealityTable, Row

_DRAWS = 200
_FEWEST_DRAWS = 10
_DOCS_PAGE = Path(__file__).resolve().parents[3] / "docs" / "reality.md"


def _run(rows: "tuple[Row, ...]", n_draws: int, choice: "Choice") -> "RealityTable":
    """Put the rows to the simulator."""
    from rich.console import Console
    from rich.progress import track

    from tdx_eval.comparing.versions import versions
    from tdx_eval.reality.catalogue import put_to_simulator, running_order
    from tdx_eval.reality.row import RealityTable
    from tdx_eval.reality.worlds import played_on

    console = Console(stderr=True)
    silent = not console.is_terminal
    steps = track(running_order(rows), "rows", console=console, transient=True, disable=silent)
    with played_on(choice):
        is_chosen = bool(choice.overrides)
        found = {row.id: put_to_simulator(row, n_draws, is_chosen) for row in steps}
    results = tuple(found[row.id] for row in rows)
    return RealityTable(results, n_draws, versions(), choice.overrides)


def _write(table: "RealityTable", folder: Path, overwrite: bool) -> None:
    """Write the table as JSON and as a page, unless another run has written there meanwhile."""
    from tdx_eval.comparing.output import check_folder, write_text
    from tdx_eval.comparing.signals import interrupts_delayed
    from tdx_eval.reality.file import JSON, PAGE, table_json
    from tdx_eval.reality.page import reality_page

    check_folder(folder, overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    with interrupts_delayed():
        write_text(folder / JSON, table_json(table))
        write_text(folder / PAGE, reality_page(table))
    print(f"table: {folder / PAGE}")


def reality(
    draws: Annotated[
        int, typer.Option(min=_FEWEST_DRAWS, max=MAX_SEEDS, help="Draws of all costs for each row")
    ] = _DRAWS,
    module: ModuleOption = None,
    kernel: KernelOption = None,
    row: Annotated[list[str] | None, typer.Option(help="One row; repeatable")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for reality.json and reality.html")
    ] = None,
    overwrite: OverwriteOption = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write docs/reality.md too")] = False,
) -> None:
    """Compare the simulator with what was observed of TDX and KVM, row by row."""
    if out is not None:
        need("tdx-eval reality --out", ["jinja2"])
    if write and row:
        raise typer.BadParameter("docs/reality.md has all rows, must not go with --row")
    from rich.console import Console

    from tdx_env.engine.warm import warm_up
    from tdx_eval.comparing.machine import Choice, check_choice
    from tdx_eval.comparing.output import check_file, check_folder, write_text
    from tdx_eval.reality.catalogue import find
    from tdx_eval.reality.file import table_json
    from tdx_eval.reality.markdown import reality_markdown
    from tdx_eval.reality.terminal import show_reality

    rows, choice = find(row or []), Choice(module, kernel)
    check_choice(choice)
    if out is not None:
        check_folder(out, overwrite)
    if write:
        check_file(_DOCS_PAGE)
    warm_up()
    table = _run(rows, draws, choice)
    if json:
        print(table_json(table), end="")
    else:
        show_reality(table, Console())
    if out is not None:
        _write(table, out, overwrite)
    if write:
        write_text(_DOCS_PAGE, reality_markdown(table))
        print(f"page: {_DOCS_PAGE}")
