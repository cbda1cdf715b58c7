"""The command `tdx-eval map`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_eval.commands.libraries import need
from tdx_eval.commands.machine import KernelOption, ModuleOption
from tdx_eval.commands.overwriting import OverwriteOption
from tdx_eval.comparing.seeds import FIRST_SEED, MAX_SEEDS, seeds_of

if TYPE_CHECKING:
    from tdx_eval.mapping.grid import Grid

_PAGE = Path("map.html")
_SEEDS = 40
_LIBRARIES = ("jinja2", "vl_convert")


def _split_of(name: str) -> str:
    """Return the split whose seeds a scenario plays."""
    split = name.rpartition("/")[2]
    return split if split in FIRST_SEED else "test"


def _show(grid: "Grid") -> None:
    """Print the map as a table."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from tdx_eval.mapping.page import cell_text, map_finding, range_text, value_text

    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column(grid.y.key, justify="right", no_wrap=True)
    for x in grid.x.values:
        table.add_column(value_text(grid.x, x, grid.clock_khz), justify="right", no_wrap=True)
    for y in reversed(grid.y.values):
        table.add_row(value_text(grid.y, y, grid.clock_khz), *map(cell_text, grid.row(y)))
    console = Console()
    for text in (f"{map_finding(grid)}.", range_text(grid), f"Columns: {grid.x.key}."):
        if text:
            console.print(text, highlight=False, markup=False, emoji=False)
    console.print(table)


def map_policies(
    name: Annotated[str, typer.Argument(help="Scenario: a name or a file")],
    x: Annotated[str, typer.Option(help="KEY=LOW..HIGH, KEY=LOW..HIGH/NUMBER or KEY=A,B,C")],
    y: Annotated[str, typer.Option(help="The same; costs are in cycles")],
    policy: Annotated[str, typer.Option(help="Whose cost is shown")] = "always-kick",
    against: Annotated[str, typer.Option(help="What it is a multiple of")] = "always-retry",
    seeds: Annotated[
        int, typer.Option(min=2, max=MAX_SEEDS, help="Episodes of each policy in a cell")
    ] = _SEEDS,
    out: Annotated[Path, typer.Option(help="File for the page")] = _PAGE,
    overwrite: OverwriteOption = False,
    module: ModuleOption = None,
    kernel: KernelOption = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override: costs.bare=2300; repeatable")
    ] = None,
) -> None:
    """Map two policies over two parameters: who is cheaper where, and where they break even."""
    from rich.console import Console
    from rich.progress import Progress

    from tdx_env.errors import ScenarioError
    from tdx_env.scenarios import load, overrides_from
    from tdx_eval.comparing.machine import Choice
    from tdx_eval.comparing.output import check_new_file, write_text
    from tdx_eval.comparing.yardsticks import load_policy
    from tdx_eval.mapping.axis import assumed, axis_from
    from tdx_eval.mapping.grid import Grid, play_cells, scenarios_of
    from tdx_eval.mapping.page import map_page

    need("tdx-eval map", _LIBRARIES)
    check_new_file(out, overwrite)
    columns, rows = axis_from("--x", x), axis_from("--y", y)
    if columns.key == rows.key:
        raise ScenarioError(f"--y {rows.key}: is the parameter of --x, must be another one")
    overrides = overrides_from(set_ or []) | Choice(module, kernel).overrides
    scenario = load(name, overrides)
    every = scenarios_of(name, columns, rows, overrides)
    pair = load_policy(policy), load_policy(against)
    console = Console(stderr=True)
    with Progress(transient=True, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("cells", total=len(every))
        numbers = seeds_of(_split_of(name), seeds)
        cells = play_cells(every, pair, numbers, lambda: progress.advance(task))
    grid = Grid(
        scenario=scenario.name, policy=pair[0].name, other=pair[1].name, x=columns, y=rows,
        n_seeds=seeds, clock_khz=scenario.clock_khz, cells=cells,
        ranges=(assumed(scenario, columns.key), assumed(scenario, rows.key)),
    )  # fmt: skip
    _show(grid)
    write_text(out, map_page(grid))
    print(f"page: {out}")
