"""The command `tdx-eval distil`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_env.errors import ConfigError
from tdx_eval.commands.overwriting import OverwriteOption
from tdx_eval.commands.search import FAMILIES

if TYPE_CHECKING:
    from tdx_eval.room.advantage_table import AdvantageTable

BASE = "greedy-tree"


def _table(
    path: Path, families: list[str], seeds: int, decisions: int, futures: int
) -> "AdvantageTable":
    """Return the table of a file; if there is none, collect it and write it."""
    import tdx_agents
    from tdx_eval.room.advantage_table import AdvantageTable
    from tdx_eval.room.advantages import advantages

    if path.exists():
        return AdvantageTable.load(path)
    print(f"collecting {path}", flush=True)
    table = advantages(
        [f"{name}/train" for name in families],
        tdx_agents.load(BASE),
        seeds=range(seeds),
        n_futures=futures,
        max_decisions=decisions,
    )
    table.save(path)
    return table


def distil(
    out: Annotated[Path, typer.Option(help="Folder for the trees and what they cost")],
    overwrite: OverwriteOption = False,
    objective: Annotated[str, typer.Option(help="One of the table's objectives")] = "cpu",
    data: Annotated[
        Path | None,
        typer.Option(help="Table of advantages (.npz); is collected if there is none"),
    ] = None,
    families: Annotated[
        str, typer.Option(help="Families of scenarios, with commas between")
    ] = ",".join(FAMILIES),
    seeds: Annotated[int, typer.Option(min=1, help="Train episodes of each scenario")] = 3,
    decisions: Annotated[
        int, typer.Option(min=1, help="Decisions of each that are played on")
    ] = 16,
    futures: Annotated[int, typer.Option(min=2, help="Futures of each answer")] = 4,
    also: Annotated[
        list[Path] | None,
        typer.Option(help="Tree that is judged beside those that are grown; repeatable"),
    ] = None,
    validation: Annotated[
        int, typer.Option(min=1, max=1024, help="Episodes of each validation scenario")
    ] = 8,
) -> None:
    """Grow trees from what each answer cost, and choose on validation: of 5 and of 15 nodes."""
    from tdx_agents.tree import read_tree
    from tdx_env.engine.warm import warm_up
    from tdx_eval.comparing.output import check_folder, check_new_file, write_text
    from tdx_eval.comparing.seeds import FIRST_SEED
    from tdx_eval.distilling.choosing import SIZES, best_of_size, candidates_of, judged
    from tdx_eval.distilling.growing import lessons_of
    from tdx_eval.searching.arena import Arena, weights_vector
    from tdx_eval.searching.contest import contest_json, contest_table
    from tdx_eval.searching.entrants import by_hand

    weights = weights_vector(objective)
    names = families.split(",")
    given = {f"{path.stem}": read_tree(path).root for path in also or []}
    check_folder(out, overwrite=True)
    check_new_file(out / f"distil-{objective}.json", overwrite)
    warm_up()
    out.mkdir(parents=True, exist_ok=True)
    table = _table(data or out / "advantages.npz", names, seeds, decisions, futures)
    if objective not in table.objectives:
        allowed = ", ".join(table.objectives)
        raise ConfigError(f"objective = {objective}, the table has {allowed}")
    arena = Arena([f"{name}/validation" for name in names], validation, FIRST_SEED["validation"])
    pool = candidates_of(lessons_of(table, objective)) | by_hand() | given
    entries = judged(pool, arena, weights)
    said = {"objective": objective, "families": names, "rows": len(table.path)}
    write_text(out / f"distil-{objective}.json", contest_json(entries, [], said))
    print(contest_table(entries, []))
    for size in SIZES:
        best = best_of_size(entries, size)
        if best is not None:
            _write(best.name, best.root, f"tree-{size}-{objective}", out)


def _write(chosen: str, root: object, name: str, out: Path) -> None:
    """Write the best tree of a size, and say where."""
    from tdx_agents.tree import Split, Tree, write_tree
    from tdx_env.state.discipline import Action
    from tdx_eval.searching.arena import DECIDED

    assert isinstance(root, (Split, Action))
    title = f"best of its size on validation: {chosen}"
    write_tree(Tree(name, title, "tdx-eval distil", DECIDED, root), out / f"{name}.json")
    print(f"written: {out / name}.json ({chosen})")
