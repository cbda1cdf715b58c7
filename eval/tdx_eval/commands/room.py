"""The command `tdx-eval room`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tdx_eval.room.study import Effort, Study

_FOLDER = Path(__file__).resolve().parents[3] / "docs"
_MAX_SEEDS, _MAX_DECISIONS = 4096, 4096


def _write_page(folder: Path) -> None:
    """Write the page from the study that is there."""
    from tdx_eval.comparing.output import write_text
    from tdx_eval.room.file import JSON, PAGE, read_study
    from tdx_eval.room.page import page

    write_text(folder / PAGE, page(read_study(folder / JSON)))
    print(f"page: {folder / PAGE}")


def _play(scenarios: str, base: str, objectives: str, effort: "Effort", command: str) -> "Study":
    """Measure, and say of each scenario what is to gain."""
    from tdx_env.engine.warm import warm_up
    from tdx_env.scenarios import expand
    from tdx_env.state.objectives import checked_objective
    from tdx_eval.comparing.yardsticks import load_policy
    from tdx_eval.room.page import line
    from tdx_eval.room.study import Study, measured

    names, policy = expand(scenarios), load_policy(base)
    wanted = objectives.split(",")
    for one in wanted:
        checked_objective(one)
    warm_up()
    rows = []
    for row in measured(names, policy, wanted, effort):
        rows.append(row)
        print("\n".join(line(row, cell) for cell in row.cells), flush=True)
    return Study(command, policy.name, wanted, effort, rows)


def room(
    scenarios: Annotated[
        str, typer.Option(help="Names, files, or a list as core, with commas between")
    ] = "core",
    objectives: Annotated[
        str, typer.Option(help="Presets with commas between")
    ] = "cpu,guest,latency,realtime",
    base: Annotated[
        str, typer.Option(help="Compiled policy that is asked, above which is looked")
    ] = "decided-until-waits",
    seeds: Annotated[
        int, typer.Option(min=4, max=_MAX_SEEDS, help="Episodes that a tree's gain is measured on")
    ] = 32,
    fit: Annotated[
        int, typer.Option(min=4, max=_MAX_SEEDS, help="Episodes that a tree is grown on")
    ] = 12,
    iterate: Annotated[
        int, typer.Option(min=0, max=16, help="Trees above each other, at most")
    ] = 1,
    ahead: Annotated[
        int, typer.Option(min=0, max=_MAX_SEEDS, help="Episodes with a look ahead")
    ] = 6,
    decisions: Annotated[
        int, typer.Option(min=1, max=_MAX_DECISIONS, help="Decisions looked at in each of them")
    ] = 12,
    futures: Annotated[
        int, typer.Option(min=2, max=1024, help="Futures of each such decision")
    ] = 6,
    clairvoyant: Annotated[
        bool, typer.Option("--clairvoyant", help="Look ahead with the true future too: a bound")
    ] = False,
    docs: Annotated[Path, typer.Option(help="Folder of room.json and room.md")] = _FOLDER,
    write: Annotated[
        bool, typer.Option("--write", help="Write room.json and room.md when all is played")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Write room.md from room.json; play nothing")
    ] = False,
) -> None:
    """Measure what is to gain above a policy: by a tree, and by looking ahead at decisions."""
    if write and page:
        raise typer.BadParameter("--write and --page exclude each other")
    if page:
        _write_page(docs)
        return
    from tdx_eval.comparing.output import check_file, write_text
    from tdx_eval.room.file import JSON, PAGE, study_json
    from tdx_eval.room.study import Effort

    if write:
        check_file(docs / JSON)
        check_file(docs / PAGE)
    effort = Effort(
        seeds, fit, ahead_seeds=ahead, ahead_decisions=decisions, futures=futures,
        rounds=iterate, clairvoyant=clairvoyant,
    )  # fmt: skip
    command = (
        f"tdx-eval room --scenarios {scenarios} --objectives {objectives} --base {base} "
        f"--seeds {seeds} --fit {fit} --iterate {iterate} --ahead {ahead} "
        f"--decisions {decisions} --futures {futures}"
    )
    command += " --clairvoyant --write" if clairvoyant else " --write"
    study = _play(scenarios, base, objectives, effort, command)
    if write:
        write_text(docs / JSON, study_json(study))
        _write_page(docs)
