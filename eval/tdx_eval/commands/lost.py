"""The command `tdx-eval lost`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_eval.commands.machine import KernelOption, ModuleOption
from tdx_eval.commands.overwriting import OverwriteOption
from tdx_eval.comparing.seeds import MAX_SEEDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdx_eval.comparing.machine import Choice
    from tdx_eval.lost.pairs import Pair
    from tdx_eval.lost.table import LostTable

_SEEDS = 40
_EVENTS = 1_500_000  # of one policy in one scenario: all of them in two minutes on one core
_JSON = Path("lost.json")
_PAGE = Path(__file__).resolve().parents[3] / "docs" / "lost.md"


def _run(
    policies: "Sequence[str]",
    scenarios: "Sequence[str]",
    seeds: range,
    events: int,
    choice: "Choice",
) -> "list[Pair]":
    """Run all pairs, and say how far it is."""
    from rich.console import Console
    from rich.progress import track

    from tdx_eval.lost.pairs import run_pairs

    pairs = run_pairs(policies, scenarios, seeds, events, choice)
    total = len(policies) * len(scenarios)
    console = Console(stderr=True)
    silent = not console.is_terminal
    return list(track(pairs, "pairs", total, console=console, transient=True, disable=silent))


def _table(pairs: "list[Pair]", seeds: range, events: int, choice: "Choice") -> "LostTable":
    """Put what was found together."""
    from tdx_eval.comparing.versions import versions
    from tdx_eval.lost.expected import check_all
    from tdx_eval.lost.table import LostTable, stories_of

    return LostTable(
        tuple(pairs), stories_of(pairs), check_all(pairs), seeds.start, len(seeds), events,
        versions(), choice,
    )  # fmt: skip


def lost(
    scenarios: Annotated[
        str, typer.Option(help="Names, files, or a split, with commas between")
    ] = "test",
    policies: Annotated[
        str, typer.Option(help="'all', or names and numbers with commas between")
    ] = "all",
    seeds: Annotated[
        int, typer.Option(min=1, max=MAX_SEEDS, help="Episodes of each policy and scenario")
    ] = _SEEDS,
    module: ModuleOption = None,
    kernel: KernelOption = None,
    events: Annotated[
        int, typer.Option(min=1, help="Fewer episodes (4 at least) where they have more events")
    ] = _EVENTS,
    out: Annotated[Path, typer.Option(help="File for the results as JSON")] = _JSON,
    overwrite: OverwriteOption = False,
    write: Annotated[bool, typer.Option("--write", help="Write docs/lost.md too")] = False,
) -> None:
    """Show which policy loses the TD where, and by which chain of events."""
    from rich.console import Console

    from tdx_env.engine.warm import warm_up
    from tdx_env.scenarios import expand, load
    from tdx_eval.comparing.machine import Choice
    from tdx_eval.comparing.output import check_file, check_new_file, write_text
    from tdx_eval.comparing.plan import named
    from tdx_eval.comparing.seeds import seeds_of
    from tdx_eval.lost.file import lost_json
    from tdx_eval.lost.page import lost_page
    from tdx_eval.lost.terminal import show_lost

    places, chosen = expand(scenarios), list(named(policies))
    choice = Choice(module, kernel)
    for name in places:
        load(name, choice.overrides)
    check_new_file(out, overwrite)
    if write:
        check_file(_PAGE)
    warm_up()
    numbers = seeds_of("test", seeds)
    table = _table(_run(chosen, places, numbers, events, choice), numbers, events, choice)
    show_lost(table, Console())
    write_text(out, lost_json(table))
    print(f"results: {out}")
    if write:
        write_text(_PAGE, lost_page(table))
        print(f"page: {_PAGE}")
