"""The command `tdx-eval losses`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_eval.seeds import MAX_SEEDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdx_eval.losses.run import Pair
    from tdx_eval.losses.table import Table

_SEEDS = 40
_EVENTS = 1_500_000  # of one policy in one scenario: all of them in two minutes on one core
_JSON = Path("losses.json")
_PAGE = Path(__file__).resolve().parents[2] / "docs" / "losses.md"


def _run(
    policies: "Sequence[str]", scenarios: "Sequence[str]", seeds: range, events: int
) -> "list[Pair]":
    """Run all pairs, and say how far it is."""
    from rich.console import Console
    from rich.progress import track

    from tdx_eval.losses.run import run_pairs

    pairs = run_pairs(policies, scenarios, seeds, events)
    total = len(policies) * len(scenarios)
    return list(track(pairs, "pairs", total, console=Console(stderr=True), transient=True))


def _table(pairs: "list[Pair]", seeds: range, events: int) -> "Table":
    """Put what was found together."""
    from tdx_eval.losses.expected import check_all
    from tdx_eval.losses.table import Table, stories_of
    from tdx_eval.versions import versions

    return Table(
        tuple(pairs), stories_of(pairs), check_all(pairs), seeds.start, len(seeds), events,
        versions(),
    )  # fmt: skip


def losses(
    scenarios: Annotated[
        str, typer.Option(help="Names, files, or a split, with commas between")
    ] = "test",
    policies: Annotated[
        str, typer.Option(help="'all', or names and numbers with commas between")
    ] = "all",
    seeds: Annotated[
        int, typer.Option(min=1, max=MAX_SEEDS, help="Episodes of each policy and scenario")
    ] = _SEEDS,
    events: Annotated[
        int, typer.Option(min=1, help="Fewer episodes (4 at least) where they have more events")
    ] = _EVENTS,
    out: Annotated[Path, typer.Option(help="File for the results as JSON")] = _JSON,
    write: Annotated[bool, typer.Option("--write", help="Write docs/losses.md too")] = False,
) -> None:
    """Show which policy loses the TD where, and by which chain of events."""
    from rich.console import Console

    from tdx_env.engine.warm import warm_up
    from tdx_env.scenarios import expand, load
    from tdx_eval.losses.file import as_json
    from tdx_eval.losses.page import markdown
    from tdx_eval.losses.terminal import show
    from tdx_eval.output import check, write_text
    from tdx_eval.plan import named
    from tdx_eval.seeds import seeds_of

    places, chosen = expand(scenarios), named(policies)
    for name in places:
        load(name)
    for file in (out, _PAGE) if write else (out,):
        check(file.absolute().parent, overwrite=True)
    warm_up()
    numbers = seeds_of("test", seeds)
    table = _table(_run(chosen, places, numbers, events), numbers, events)
    show(table, Console())
    write_text(out, as_json(table))
    print(f"results: {out}")
    if write:
        write_text(_PAGE, markdown(table))
        print(f"page: {_PAGE}")
