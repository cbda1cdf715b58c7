"""The command `tdx-eval ranks`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_eval.commands.overwriting import OverwriteOption
from tdx_eval.comparing.seeds import MAX_SEEDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tdx_eval.ranks.playing import Ranking

_SEEDS = 40
_EVENTS = 1_000_000
_MODULES = ("1.5.01", "1.5.34")
_JSON = Path("ranks.json")
_PAGE = Path(__file__).resolve().parents[3] / "docs" / "ranks.md"


def _watched(rankings: "Iterable[Ranking]", total: int) -> "Sequence[Ranking]":
    """Return the rankings; show how far they are."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    silent = not console.is_terminal
    return list(
        track(rankings, "scenarios", total, console=console, transient=True, disable=silent)
    )


def ranks(
    modules: Annotated[
        tuple[str, str], typer.Option(help="Two versions of the TDX module", metavar="FROM TO")
    ] = _MODULES,
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
    overwrite: OverwriteOption = False,
    write: Annotated[bool, typer.Option("--write", help="Write docs/ranks.md too")] = False,
) -> None:
    """Show which policies rank otherwise on another version of the TDX module, and why."""
    from rich.console import Console

    from tdx_env.engine.warm import warm_up
    from tdx_env.module.versions import version_name
    from tdx_env.scenarios import expand, load
    from tdx_eval.comparing.output import check_file, check_new_file, write_text
    from tdx_eval.comparing.plan import named
    from tdx_eval.comparing.seeds import seeds_of
    from tdx_eval.comparing.versions import versions
    from tdx_eval.comparing.yardsticks import load_policy
    from tdx_eval.ranks.page import RankStudy, ranks_json, ranks_page
    from tdx_eval.ranks.playing import REFERENCE, compare_modules, is_bounded
    from tdx_eval.ranks.terminal import show_ranks

    places, chosen = expand(scenarios), named(policies)
    chosen.setdefault(REFERENCE, load_policy(REFERENCE))
    pair = (version_name(modules[0]), version_name(modules[1]))
    for name in places:
        load(name)
    check_new_file(out, overwrite)
    if write:
        check_file(_PAGE)
    warm_up()
    rankings = compare_modules(chosen, places, pair, seeds_of("test", seeds), events)
    table = RankStudy(
        pair,
        _watched(rankings, len(places)),
        [
            name
            for name, policy in chosen.items()
            if is_bounded(policy.discipline) and policy.is_mergeable
        ],
        f"tdx-eval ranks --modules {pair[0]} {pair[1]} --scenarios {scenarios} "
        f"--policies {policies} --seeds {seeds} --events {events}",
        versions(),
    )
    show_ranks(table, Console())
    write_text(out, ranks_json(table))
    print(f"results: {out}")
    if write:
        write_text(_PAGE, ranks_page(table))
        print(f"page: {_PAGE}")
