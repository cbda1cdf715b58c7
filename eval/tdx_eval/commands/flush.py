"""The command `tdx-eval flush`."""

from pathlib import Path
from typing import Annotated

import typer

_MAX_SEEDS, _MAX_WORLDS = 4096, 100_000_000


def _scripted(n_worlds: int) -> None:
    """Hold greedy against twice the clairvoyant in scripted worlds.

    Raises:
        Exit: The theorem doesn't hold there: exit code 1.
    """
    from tdx_eval.flushing.scripted import worst_excess

    worst = worst_excess(n_worlds, seed=1)
    print(
        f"{n_worlds:,} scripted worlds: greedy against twice the clairvoyant and one step for each "
        f"waiter, at worst {worst:+,} cycles"
    )
    if worst > 0:
        raise typer.Exit(1)


def flush(
    scenarios: Annotated[
        str, typer.Option(help="Names or files of scenarios with zaps, with commas between")
    ] = "s13-balloon/validation",
    seeds: Annotated[int, typer.Option(min=1, max=_MAX_SEEDS, help="Episodes of each rule")] = 24,
    policies: Annotated[
        str, typer.Option(help="Rules with commas between; default: those of docs/flush.md")
    ] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override: host.n_vcpus=64; repeatable"),
    ] = None,
    costs: Annotated[
        Path | None, typer.Option(help="TOML file of costs, as costs.toml of the package")
    ] = None,
    scripted: Annotated[
        int,
        typer.Option(
            min=0, max=_MAX_WORLDS, help="Test greedy's bound in so many scripted worlds instead"
        ),
    ] = 0,
) -> None:
    """Hold flush rules against each other, beside the rate of waiters and a flush's price (λK)."""
    if scripted:
        _scripted(scripted)
        return
    from tdx_env.engine.warm import warm_up
    from tdx_env.scenarios import expand, overrides_from
    from tdx_eval.flushing.measure import RULES, compared, table

    rules = tuple(policies.split(",")) if policies else RULES
    overrides = dict(overrides_from(set_ or [], costs))
    names = expand(scenarios)
    warm_up()
    for name in names:
        print(table(name, *compared(name, overrides, rules, range(1, seeds + 1))), "\n")
