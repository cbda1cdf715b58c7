"""The command `tdx-eval`: policies compared, where they lose the TD, the simulator and reality."""

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.cli_losses import losses
from eval.cli_reality import reality
from eval.seeds import MAX_SEEDS
from tdx_env.errors import TdxEnvError

if TYPE_CHECKING:
    from eval.plan import Plan
    from eval.reality.row import Table
    from eval.run import Job
    from eval.summary import Summary

_MISTAKE, _INTERRUPTED = 2, 130
_MAX_JOBS = 1024

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command("policies")
def policies() -> None:
    """List all hand-written policies with one line each."""
    import agents
    from eval import yardsticks

    print(agents.policies_table())
    print("\nyardsticks, under the default discipline:")
    for name in yardsticks.names():
        print(f"{name}  {yardsticks.load(name).title}")


def _jobs(plan: "Plan") -> dict[str, list["Job"]]:
    """Return the jobs of the validation and of the test split."""
    from eval.run import jobs_of
    from eval.seeds import seeds_of

    seeds = seeds_of("validation", plan.n_validation_seeds)
    everybody = [*plan.policies, *plan.contenders]
    return {
        "validation": jobs_of(plan.policies, plan.validation, seeds, plan.overrides),
        "test": jobs_of(everybody, plan.scenarios, seeds_of("test", plan.n_seeds), plan.overrides),
    }


def _run(plan: "Plan", folder: Path, n_jobs: int) -> None:
    """Run validation, then test; keep every finished chunk in the folder."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from eval.interrupts import interrupts_delayed
    from eval.output import Parts
    from eval.run import run_all

    columns = (*Progress.get_default_columns()[:3], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, console=Console(stderr=True)) as progress:
        jobs = _jobs(plan)
        tasks = {kind: progress.add_task(kind, total=len(some)) for kind, some in jobs.items()}
        for kind, some in jobs.items():
            parts = Parts(folder, kind)
            with closing(run_all(some, n_jobs)) as results:
                for place, episodes, cells in results:
                    with interrupts_delayed():
                        parts.add(place, episodes, cells)
                    progress.advance(tasks[kind])


def _finish(plan: "Plan", folder: Path, table: "Table | None") -> "Summary":
    """Put the finished chunks together and write summary and report."""
    import json

    from eval.compare import summarise
    from eval.interrupts import interrupts_delayed
    from eval.output import REPORT, SUMMARY, collect, write_text
    from eval.report import html

    with interrupts_delayed():
        episodes, cells, validation = collect(folder)
    summary = summarise(plan, episodes, cells, validation)
    write_text(folder / SUMMARY, json.dumps(summary.as_json(), indent=1, allow_nan=False) + "\n")
    write_text(folder / REPORT, html(summary, table))
    return summary


def _stopped(folder: Path) -> None:
    """Put together what is finished when a run was stopped, and say what is there."""
    from eval.output import RESULTS, VALIDATION, abandon, collect, has_parts

    if not has_parts(folder):
        abandon(folder)
        print("tdx-eval: stopped before any episode had finished", file=sys.stderr)
        return
    episodes, _, validation = collect(folder)
    for table, name, kind in ((episodes, RESULTS, "test"), (validation, VALIDATION, "validation")):
        if len(table):
            print(
                f"tdx-eval: stopped; {len(table):,} finished {kind} episodes of "
                f"{table['scenario'].nunique()} scenarios are in {folder / name}",
                file=sys.stderr,
            )
    print("tdx-eval: there is no report; run it again with --overwrite", file=sys.stderr)


def _plan(
    scenarios: str,
    policies: str,
    contenders: list[str],
    seeds: int,
    overrides: dict[str, object],
) -> "Plan":
    """Return the plan; scenarios are checked before anything is compiled."""
    from eval.plan import Plan, hand_written, validation_of
    from tdx_env.engine.warm import warm_up
    from tdx_env.scenarios import expand, load

    names = expand(scenarios)
    validation = validation_of(names)
    for name in (*names, *validation):
        load(name, overrides)
    warm_up()
    plan = Plan(
        policies=hand_written(policies),
        contenders=contenders,
        scenarios=names,
        validation=validation,
        n_seeds=seeds,
        overrides=overrides,
    )
    plan.load()
    return plan


def _compare(plan: "Plan", out: Path, n_jobs: int, table: "Table | None") -> None:
    """Run a plan and show what was found."""
    from rich.console import Console

    from eval.interrupts import interrupts_delayed, terminate_as_interrupt
    from eval.output import REPORT, abandon, prepare
    from eval.terminal import show

    terminate_as_interrupt()
    prepare(out)
    try:
        _run(plan, out, n_jobs)
    except KeyboardInterrupt:
        with interrupts_delayed():
            _stopped(out)
        raise SystemExit(_INTERRUPTED) from None
    except TdxEnvError:
        abandon(out)
        raise
    console = Console()
    with console.status("writing the report"):
        summary = _finish(plan, out, table)
    show(summary, console)
    print(f"report: {out / REPORT}")


@app.command("compare")
def compare(
    out: Annotated[Path, typer.Option(help="Folder for results and report")],
    scenarios: Annotated[
        str, typer.Option(help="Names, files, or a split, with commas between")
    ] = "test",
    policies: Annotated[
        str, typer.Option(help="'all', or names and numbers with commas between")
    ] = "all",
    policy: Annotated[
        list[str] | None, typer.Option(help="FILE.py:FUNCTION of your own; repeatable")
    ] = None,
    agent: Annotated[
        list[Path] | None, typer.Option(help="Folder of a learned agent; repeatable")
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=MAX_SEEDS, help="Episodes of each policy and scenario")
    ] = 200,
    jobs: Annotated[
        int, typer.Option(min=0, max=_MAX_JOBS, help="Processes; 0: one for each CPU")
    ] = 0,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override: costs.bare=2300; repeatable")
    ] = None,
    costs: Annotated[Path | None, typer.Option(help="TOML file of measured costs")] = None,
    reality: Annotated[
        Path | None, typer.Option(help="reality.json for a section of the report")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of an earlier run")
    ] = False,
) -> None:
    """Compare policies on the same seeds and write a report."""
    from agents.bundle import load_manifest
    from eval.output import check
    from eval.reality.file import read
    from tdx_env.scenarios import overrides_from

    check(out, overwrite)
    table = None if reality is None else read(reality)
    overrides = dict(overrides_from(set_ or [], costs))
    for folder in agent or []:
        load_manifest(folder)
    contenders = [*map(str, agent or []), *(policy or [])]
    plan = _plan(scenarios, policies, contenders, seeds, overrides)
    _compare(plan, out, jobs or os.cpu_count() or 1, table)


app.command("reality")(reality)
app.command("losses")(losses)


def main() -> None:
    """Run the command; a mistake of the user's is one line and exit code 2."""
    try:
        app()
    except TdxEnvError as error:
        print(f"tdx-eval: {error}", file=sys.stderr)
        raise SystemExit(_MISTAKE) from None
    except KeyboardInterrupt:
        print("tdx-eval: stopped before anything was done", file=sys.stderr)
        raise SystemExit(_INTERRUPTED) from None


if __name__ == "__main__":
    main()
