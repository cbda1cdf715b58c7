"""The command `tdx-eval trial`."""

from typing import Annotated

import typer

from tdx_env.errors import PolicyError
from tdx_eval.comparing.seeds import MAX_SEEDS


def trial(
    trees: Annotated[
        str, typer.Argument(help="Trees, names or files, and entrants by hand, with commas between")
    ],
    policies: Annotated[
        str, typer.Option(help="Others, each under its own discipline, with commas between")
    ] = "P20",
    reference: Annotated[str, typer.Option(help="Who all are held against")] = "until-waits",
    scenarios: Annotated[
        str, typer.Option(help="Names, files, or a split, with commas between")
    ] = "core/test",
    seeds: Annotated[int, typer.Option(min=2, max=MAX_SEEDS, help="Episodes of each")] = 16,
    split: Annotated[str, typer.Option(help="Whose seeds: train, validation, test")] = "test",
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="What costs: a preset, or weights as host=1,stolen=0.5; a table for each; "
            "default: cpu"
        ),
    ] = None,
) -> None:
    """Hold trees against each other under one discipline, paired, with 95 % intervals.

    Trees and entrants by hand are charged 50 cycles a decision, and asked at each busy reply and
    flush point.
    """
    from tdx_agents.tree import tree_of
    from tdx_env.engine.warm import warm_up
    from tdx_env.errors import one_of
    from tdx_env.scenarios import expand
    from tdx_eval.comparing.seeds import FIRST_SEED, seeds_of
    from tdx_eval.comparing.yardsticks import load_policy
    from tdx_eval.searching.arena import Arena, weights_vector
    from tdx_eval.searching.entrants import by_hand
    from tdx_eval.searching.trial import play_contenders, standings, standings_table

    weights = {one: weights_vector(one) for one in objective or ["cpu"]}
    hand = by_hand()
    if split not in FIRST_SEED:
        raise PolicyError(f"--split {split}: is unknown, {one_of(split, FIRST_SEED)}")
    wanted = [name for name in trees.split(",") if name]
    roots = {name: hand[name] if name in hand else tree_of(name).root for name in wanted}
    if reference not in roots:
        raise PolicyError(f"--reference {reference}: is no contender, {one_of(reference, roots)}")
    names = [name for one in scenarios.split(",") for name in expand(one)]
    warm_up()
    others = {name: load_policy(name) for name in policies.split(",") if name}
    arena = Arena(names, seeds, FIRST_SEED[split])
    played = play_contenders(arena, roots, others, seeds_of(split, seeds))
    for name, of_parts in weights.items():
        print(f"{name}:\n")
        print(standings_table(standings(arena, played, reference, of_parts), reference), "\n")
