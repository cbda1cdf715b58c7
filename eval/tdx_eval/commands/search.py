"""The command `tdx-eval search`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_env.errors import PolicyError
from tdx_eval.commands.overwriting import OverwriteOption

if TYPE_CHECKING:
    from tdx_eval.searching.contest import Entry

FAMILIES = (
    "s06-conversion",
    "s07-conversion-idle-ticks",
    "s08-accept-2m",
    "s10-hostile-2m",
    "s12-slot-deletion-calm",
    "s13-balloon-calm",
    "s14-split-punch-hole",
    "s15-export",
    "s16-oversubscribed-calm",
    "s25-conversion-in-place-calm",
    "s27-balloon-faults",
    "s27-balloon-storm",
    "s27-conversion-faults",
)
"""Core families of less than 100,000 events an episode, one of each kind."""
_MOST_DECISIONS = 10**10
_MOST_RUNS = 100


def search(
    out: Annotated[Path, typer.Option(help="Folder for the results and the best trees")],
    objective: Annotated[
        str, typer.Option(help="What costs: a preset, or weights as host=1,stolen=0.5")
    ] = "cpu",
    budget: Annotated[
        int, typer.Option(min=1, max=_MOST_DECISIONS, help="Decisions of each run")
    ] = 10_000_000,
    runs: Annotated[int, typer.Option(min=1, max=_MOST_RUNS, help="Runs of each method")] = 3,
    methods: Annotated[
        str, typer.Option(help="With commas between; none: only entrants by hand")
    ] = "random,evolution,refinement",
    families: Annotated[
        str, typer.Option(help="Families of scenarios, with commas between")
    ] = ",".join(FAMILIES),
    seeds: Annotated[
        int, typer.Option(min=1, max=1024, help="Episodes of each scenario a tree is played in")
    ] = 2,
    validation: Annotated[
        int, typer.Option(min=1, max=1024, help="Episodes of each validation scenario")
    ] = 8,
    overwrite: OverwriteOption = False,
) -> None:
    """Search programs of at most 12 lines on train seeds, and choose on validation."""
    from tdx_env.engine.warm import warm_up
    from tdx_env.errors import one_of
    from tdx_env.scenarios import load
    from tdx_eval.comparing.output import check_folder, write_text
    from tdx_eval.comparing.seeds import FIRST_SEED
    from tdx_eval.searching.arena import Arena, weights_vector
    from tdx_eval.searching.contest import chosen_entries, contest_json, contest_table
    from tdx_eval.searching.entrants import by_hand
    from tdx_eval.searching.methods import METHODS, Purse

    weights = weights_vector(objective)
    wanted = [name for name in methods.split(",") if name and name != "none"]
    for name in wanted:
        if name not in METHODS:
            raise PolicyError(f"--methods {name}: is unknown, {one_of(name, METHODS)}")
    names = families.split(",")
    for name in names:
        load(f"{name}/train")
        load(f"{name}/validation")
    check_folder(out, overwrite)
    warm_up()
    arena = Arena([f"{name}/train" for name in names], seeds, FIRST_SEED["train"])
    found = []
    for name in wanted:
        for seed in range(1, runs + 1):
            run = METHODS[name](Purse(arena, weights, budget), seed)
            print(
                f"{name} {seed}: {run.n_trees:,} trees, {run.n_decisions:,} decisions, train "
                f"ratio {run.score:.4f}",
                flush=True,
            )
            found.append(run)
    judge = Arena([f"{name}/validation" for name in names], validation, FIRST_SEED["validation"])
    entries = chosen_entries(by_hand(), found, judge, weights)
    out.mkdir(parents=True, exist_ok=True)
    said = {"objective": objective, "budget": budget, "families": names, "seeds": seeds}
    write_text(out / "search.json", contest_json(entries, found, said))
    _write_best(entries[0], objective, out)
    print(contest_table(entries, found))


def _write_best(best: "Entry", objective: str, out: Path) -> None:
    """Write the best entrant as a tree."""
    from tdx_agents.tree import Tree, write_tree
    from tdx_eval.searching.arena import DECIDED

    title = f"best of the search for the objective {objective}: {best.name}"
    source = f"tdx-eval search --objective {objective}"
    tree = Tree(f"found-{objective}", title, source, DECIDED, best.root)
    write_tree(tree, out / f"found-{objective}.json")
