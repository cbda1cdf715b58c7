"""The command `tdx-eval regret`."""

from pathlib import Path
from typing import Annotated

import typer

_FOLDER = Path("docs")
_MAX_SEEDS = 4096


def _write_page(folder: Path) -> None:
    """Write the page from the study that is there."""
    from tdx_eval.comparing.output import write_text
    from tdx_eval.regret.page import JSON, PAGE, read_regret, regret_page

    write_text(folder / PAGE, regret_page(read_regret(folder / JSON)))
    print(f"page: {folder / PAGE}")


def regret(
    cells: Annotated[
        str, typer.Option(help="Scenarios with commas between; w-grid: all worlds of family W")
    ] = "w-grid",
    objective: Annotated[str, typer.Option(help="Preset or weights")] = "cpu",
    seeds: Annotated[
        int, typer.Option(min=2, max=_MAX_SEEDS, help="Episodes of each rule and cell")
    ] = 40,
    choice: Annotated[
        int, typer.Option(min=2, max=_MAX_SEEDS, help="Those that a cell's best rule is chosen by")
    ] = 20,
    docs: Annotated[Path, typer.Option(help="Folder of what-if.json and what-if.md")] = _FOLDER,
    write: Annotated[
        bool, typer.Option("--write", help="Write what-if.json and what-if.md")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Write what-if.md from what-if.json; play nothing")
    ] = False,
) -> None:
    """Measure how far each rule is off in the worst of the worlds that may come (what if)."""
    if write and page:
        raise typer.BadParameter("--write and --page exclude each other")
    if page:
        _write_page(docs)
        return
    from tdx_env.engine.warm import warm_up
    from tdx_env.scenarios import expand
    from tdx_env.state.objectives import objective_name
    from tdx_eval.comparing.output import check_file, write_text
    from tdx_eval.regret.fixed import all_rules
    from tdx_eval.regret.page import JSON, PAGE, RegretStudy, regret_json, regret_text
    from tdx_eval.regret.page import answer as told
    from tdx_eval.regret.playing import play_grid
    from tdx_eval.regret.regrets import reckon_regrets

    names, wanted = expand(cells), objective_name(objective)
    for file in (docs / JSON, docs / PAGE) if write else ():
        check_file(file)
    warm_up()
    every = all_rules()
    played = list(play_grid(names, every, objective, seeds, choice))
    bests, found = reckon_regrets(played, every)
    command = f"tdx-eval regret --cells {cells} --objective {wanted} --seeds {seeds}"
    command += f" --choice {choice} --write"
    study = RegretStudy(command, wanted, seeds, choice, bests, found)
    for row in sorted(found, key=lambda one: one.worst):
        lost = f", {row.n_lost} TDs lost" if row.n_lost else ""
        print(f"{row.rule:22} worst {regret_text(row.worst):>7} in {row.worst_cell}{lost}")
    print(told(study))
    if write:
        write_text(docs / JSON, regret_json(study))
        _write_page(docs)
