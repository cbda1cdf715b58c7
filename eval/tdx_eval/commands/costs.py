"""The command `tdx-eval costs`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_eval.commands.libraries import need

if TYPE_CHECKING:
    from tdx_eval.costs.study import Study

_SEEDS, _FEWEST_SEEDS, _MAX_SEEDS = 64, 4, 4096
_MAX_JOBS = 1024
_FOLDER = Path("docs")


def _check(folder: Path) -> None:
    """Check study and page; tell of scenarios that have changed since they were played."""
    from tdx_eval.costs.check import changed_scenarios, check_study
    from tdx_eval.costs.file import JSON, PAGE

    study = check_study(folder)
    changed = changed_scenarios(study)
    if changed:
        some = f"{len(changed)} of {len(study.scenarios)} scenarios: {', '.join(changed)}"
        print(f"tdx-eval: note: changed since they were played: {some}", file=sys.stderr)
    print(f"{folder / PAGE} and {folder / JSON} are current")


def _write_page(folder: Path) -> None:
    """Write the page from the study that is there."""
    from tdx_eval.comparing.output import write_text
    from tdx_eval.costs import ranges
    from tdx_eval.costs.file import JSON, PAGE, read_study
    from tdx_eval.costs.page import page

    study = read_study(folder / JSON)
    write_text(folder / PAGE, page(study, ranges.common(), ranges.overridden()))
    print(f"page: {folder / PAGE}")


def _check_folder(folder: Path) -> None:
    """Check that results can be written before anything is played.

    Raises:
        OutputError: They can't.
    """
    from tdx_env.errors import OutputError

    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"--docs {folder}: must be a folder that can be written to")


def _write(study: "Study", folder: Path) -> None:
    """Write study and page."""
    from tdx_eval.comparing.output import write_text
    from tdx_eval.comparing.signals import interrupts_delayed
    from tdx_eval.costs.file import JSON, study_json

    with interrupts_delayed():
        write_text(folder / JSON, study_json(study))
        _write_page(folder)


def _play(scenarios: str, seeds: int, jobs: int) -> "Study":
    """Play a study and say what it comes to."""
    if jobs > 1:
        need("tdx-eval costs with more than one job", ["joblib"])
    from rich.console import Console
    from rich.progress import Progress

    from tdx_env.engine.warm import warm_up
    from tdx_env.scenarios import expand
    from tdx_eval.costs import ranges
    from tdx_eval.costs.page import findings
    from tdx_eval.costs.whole import contested, play_study

    names = expand(scenarios)
    others, _ = contested(names)
    warm_up()
    console = Console(stderr=True)
    with Progress(transient=True, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("scenarios", total=len(others))
        study, seconds = play_study(names, seeds, jobs, lambda: progress.advance(task))
    print("\n".join(findings(study, [row.name for row in ranges.common()])))
    print(f"CPU time: {seconds:,.0f} s")
    return study


def costs(
    scenarios: Annotated[
        str, typer.Option(help="Names, files, or a split, with commas between; not of test")
    ] = "validation",
    seeds: Annotated[
        int,
        typer.Option(
            min=_FEWEST_SEEDS,
            max=_MAX_SEEDS,
            help="Most episodes of each policy, at each end of each cost",
        ),
    ] = _SEEDS,
    jobs: Annotated[
        int, typer.Option(min=0, max=_MAX_JOBS, help="Processes; 0: one for each CPU")
    ] = 1,
    docs: Annotated[Path, typer.Option(help="Folder of costs.json and costs.md")] = _FOLDER,
    write: Annotated[
        bool, typer.Option("--write", help="Write costs.json and costs.md when all is played")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Write costs.md from costs.json; play nothing")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say whether both are current; play nothing")
    ] = False,
) -> None:
    """Find out how far the ranking of the policies depends on each cost."""
    if write + page + check > 1:
        raise typer.BadParameter("--write, --page and --check exclude each other")
    if check:
        _check(docs)
    elif page:
        _write_page(docs)
    elif write:
        _check_folder(docs)
        _write(_play(scenarios, seeds, jobs or os.cpu_count() or 1), docs)
    else:
        _play(scenarios, seeds, jobs or os.cpu_count() or 1)
