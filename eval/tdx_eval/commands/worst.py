"""The command `tdx-eval worst`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tdx_eval.worst.hostile import Attack, HostileGuest


def worst(
    tree: Annotated[str, typer.Argument(metavar="TREE", help="Name or file of a tree")],
    pages: Annotated[int, typer.Option(min=1, max=512, help="Pages of the chunk")] = 16,
    generations: Annotated[
        int, typer.Option(min=0, max=100_000, help="Of the evolution for each measure")
    ] = 10,
    seeds: Annotated[int, typer.Option(min=1, max=1024, help="Episodes against each guest")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of the search's draws")] = 0,
) -> None:
    """Search the guest against which a tree costs most, and hold that against its bound.

    Ends with exit code 1 if something that was found is beyond the bound.
    """
    from tdx_agents.tree import tree_of
    from tdx_env.engine.warm import warm_up
    from tdx_eval.worst.bounds import bound_of
    from tdx_eval.worst.hostile import attacked
    from tdx_eval.worst.hunting import worst_guests
    from tdx_eval.worst.showing import attacks_table

    found = tree_of(tree)
    bound_of(found)
    warm_up()
    policy = found.policy()

    def attack(guest: "HostileGuest") -> "Attack":
        return attacked(found, policy, guest, pages, seeds)

    attacks = worst_guests(attack, generations, seed)
    print(attacks_table(attacks))
    beyond = {name for one in attacks.values() for name in one.beyond()}
    if beyond:
        print(f"beyond the bound: {', '.join(sorted(beyond))}")
        raise typer.Exit(1)
    print("nothing that was found is beyond what is derived")
