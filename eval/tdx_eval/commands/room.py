"""The command `tdx-eval room`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tdx_eval.room.study import RoomRow, RoomStudy

_FOLDER = Path("docs")
_MAX_SEEDS, _MAX_DECISIONS = 4096, 4096


def _write_page(folder: Path) -> None:
    """Write the page from the study that is there."""
    from tdx_eval.comparing.output import write_text
    from tdx_eval.room.file import JSON, PAGE, read_room
    from tdx_eval.room.page import room_page

    write_text(folder / PAGE, room_page(read_room(folder / JSON)))
    print(f"page: {folder / PAGE}")


def _kept(folder: Path, base: str) -> "RoomStudy":
    """Return the study that is there, to which rows are added, or an empty one.

    Raises:
        ResultError: What is there is no study, or one above another policy.
    """
    from tdx_env.errors import ResultError
    from tdx_eval.room.file import JSON, read_room
    from tdx_eval.room.study import RoomStudy

    path = folder / JSON
    if not path.exists():
        return RoomStudy(base, [])
    study = read_room(path)
    if study.base != base:
        raise ResultError(f"{path}: is above {study.base}, not {base}; choose another --docs")
    return study


def _play(rows: "Iterable[RoomRow]", base: str, folder: Path | None) -> None:
    """Say of each scenario what is to gain; keep it in a folder's file, if there is one."""
    from tdx_eval.comparing.output import write_text
    from tdx_eval.room.file import JSON, room_json
    from tdx_eval.room.page import room_line

    for row in rows:
        print("\n".join(room_line(row, cell) for cell in row.cells), flush=True)
        if folder is not None:
            write_text(folder / JSON, room_json(_kept(folder, base).with_row(row)))


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
    fit_decisions: Annotated[
        int, typer.Option(min=4, max=_MAX_DECISIONS, help="Decisions of each of them")
    ] = 32,
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
        bool,
        typer.Option("--write", help="Add to room.json, scenario by scenario, then write room.md"),
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
    from tdx_env.engine.warm import warm_up
    from tdx_env.scenarios import expand
    from tdx_env.state.objectives import checked_objective
    from tdx_eval.comparing.output import check_file
    from tdx_eval.comparing.yardsticks import load_policy
    from tdx_eval.room.file import JSON, PAGE
    from tdx_eval.room.study import Effort, measured_room

    names, policy, wanted = expand(scenarios), load_policy(base), objectives.split(",")
    for one in wanted:
        checked_objective(one)
    if write:
        check_file(docs / JSON)
        check_file(docs / PAGE)
        _kept(docs, policy.name)
    effort = Effort(seeds, fit, fit_decisions, ahead, decisions, futures, iterate, clairvoyant)
    command = (
        f"tdx-eval room --scenarios {scenarios} --objectives {objectives} --base {base} "
        f"--seeds {seeds} --fit {fit} --fit-decisions {fit_decisions} --iterate {iterate} "
        f"--ahead {ahead} --decisions {decisions} --futures {futures}"
    )
    command += " --clairvoyant --write" if clairvoyant else " --write"
    warm_up()
    rows = measured_room(names, policy, wanted, effort, command)
    _play(rows, policy.name, docs if write else None)
    if write:
        _write_page(docs)
