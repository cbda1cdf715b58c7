"""The commands `tdx-eval gate`, `tdx-eval diff` and `tdx-eval replay`: on results that exist."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_eval.commands.libraries import need

if TYPE_CHECKING:
    from tdx_eval.auditing.gate import Passage

_LIBRARIES = ("pandas", "pyarrow")
_ROWS = 40
_SHOWN = 20  # lines of what differs

FolderArgument = Annotated[Path, typer.Argument(help="Folder that tdx-eval compare wrote")]


def _share(text: str) -> float:
    """Return a share that was written in percent, "1%" or "1".

    Raises:
        ResultError: It is none.
    """
    from tdx_env.errors import ResultError, printable

    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share < float("inf"):
        raise ResultError(f"--max-regression {printable(text)}: must be a percentage from 0 on")
    return share


def _name(policy: str) -> str:
    """Return a policy's name: of a number of the catalogue, or as it was given."""
    from tdx_env.errors import PolicyError
    from tdx_eval.comparing.yardsticks import load_policy

    try:
        return load_policy(policy).name
    except PolicyError:
        return policy  # a contender's name, as it stands in the results


def _line(one: "Passage") -> str:
    """Return one scenario of a gate."""
    from tdx_eval.reporting.wording import factor

    state = "REGRESSION" if one.is_regression else "not excluded" if one.is_unsure else "ok"
    relative = one.relative
    told = (
        f"{factor(relative.value)} ({factor(relative.low)} to {factor(relative.high)})"
        if relative
        else "the baseline costs nothing"
    )
    lost = f", TDs lost {one.n_lost[0]} against {one.n_lost[1]}" if any(one.n_lost) else ""
    return f"{state:12} {one.scenario}: {told}, n = {one.n_seeds}{lost}"


def gate(
    folder: FolderArgument,
    policy: Annotated[str, typer.Option(help="Name or number of the policy that is judged")],
    baseline: Annotated[str, typer.Option(help="What it is held against")],
    max_regression: Annotated[
        str, typer.Option(help="How much dearer it may be in a scenario")
    ] = "1%",
) -> None:
    """Exit with 1 if a policy costs more than a baseline allows, or loses more TDs; else with 0.

    A scenario counts if the whole 95 % interval of the difference is beyond what is allowed.
    """
    from tdx_eval.auditing.folder import read_results
    from tdx_eval.auditing.gate import judge

    need("tdx-eval gate", _LIBRARIES)
    allowed = _share(max_regression)
    found = judge(read_results(folder), _name(policy), _name(baseline), allowed)
    for one in found:
        print(_line(one))
    bad = sum(one.is_regression for one in found)
    unsure = sum(one.is_unsure and not one.is_regression for one in found)
    print(
        f"{bad} of {len(found)} scenarios are regressions beyond {100 * allowed:g} %; in {unsure} "
        "more one can't be excluded"
    )
    raise typer.Exit(1 if bad else 0)


def diff(first: FolderArgument, second: FolderArgument) -> None:
    """Hold two folders of results against each other; exit with 1 if an episode differs."""
    from tdx_eval.auditing.folder import read_results
    from tdx_eval.auditing.versus import differences_of
    from tdx_eval.reporting.wording import factor

    need("tdx-eval diff", _LIBRARIES)
    found = differences_of(read_results(first), read_results(second))
    for text in found.made[:_SHOWN]:
        print(f"made otherwise: {text}")
    if len(found.made) > _SHOWN:
        print(f"made otherwise: {len(found.made) - _SHOWN} more")
    for one in found.changed:
        relative = one.relative
        told = (
            f"{factor(relative.value)} ({factor(relative.low)} to {factor(relative.high)})"
            if relative
            else "the first costs nothing"
        )
        print(
            f"{one.policy} in {one.scenario}: {one.n_changed} of {one.n_seeds} episodes differ, "
            f"cost {told}"
        )
    n_changed = sum(one.n_changed for one in found.changed)
    alone, others = found.n_alone
    print(
        f"{found.n_common:,} episodes in common, {n_changed:,} of them differ; {alone:,} are in "
        f"the first alone, {others:,} in the second"
    )
    raise typer.Exit(0 if found.are_equal else 1)


def replay_results(
    folder: FolderArgument,
    rows: Annotated[
        int, typer.Option(min=0, help="Rows to play again, spread evenly; 0: all of them")
    ] = _ROWS,
    agent: Annotated[
        list[Path] | None, typer.Option(help="Folder of an agent that took part; repeatable")
    ] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="FILE.py:FUNCTION that took part; repeatable")
    ] = None,
) -> None:
    """Play rows of a comparison again from its manifest; exit with 1 if one comes out otherwise."""
    from tdx_eval.auditing.again import replay_rows
    from tdx_eval.auditing.folder import read_results

    need("tdx-eval replay", _LIBRARIES)
    specs = [*map(str, agent or []), *(policy or [])]
    found = replay_rows(read_results(folder), rows, specs)
    for text in found.odd[:_SHOWN]:
        print(text)
    same = found.n_rows - len(found.odd)
    print(f"{same:,} of {found.n_rows:,} rows came out bit for bit")
    if found.n_left_out:
        print(f"{found.n_left_out:,} rows are of contenders: name them by --agent or --policy")
    raise typer.Exit(1 if found.odd else 0)
