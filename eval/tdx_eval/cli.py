"""The command `tdx-eval`: compare policies, find lost TDs, test the costs and the simulator."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_env import command
from tdx_env.errors import PolicyError, ScenarioError, TdxEnvError
from tdx_eval import backends
from tdx_eval.cli_costs import costs
from tdx_eval.cli_losses import losses
from tdx_eval.cli_reality import reality
from tdx_eval.seeds import CHUNK, MAX_SEEDS

if TYPE_CHECKING:
    from tdx_eval.parts import Parts
    from tdx_eval.plan import Plan
    from tdx_eval.reality.row import Table
    from tdx_eval.run import Job

_MAX_JOBS = 1024
_MAX_CHUNK = 1 << 14

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command("policies")
def policies() -> None:
    """List all hand-written policies with one line each."""
    import tdx_agents
    from tdx_eval import yardsticks

    print(tdx_agents.policies_table())
    print("\nyardsticks, under the default discipline:")
    for name in yardsticks.names():
        print(f"{name}  {yardsticks.load(name).title}")


@dataclass(frozen=True)
class Way:
    """How a plan is carried out; no result depends on it.

    Attributes:
        out: Folder for results.
        backend: See `tdx_eval.backends`.
        n_jobs: Jobs side by side; 0: one for each CPU.
        chunk: Episodes of a job.
        overwrite: Whether earlier results may be replaced.
    """

    out: Path
    backend: str
    n_jobs: int
    chunk: int
    overwrite: bool


def _run(jobs: dict[str, list["Job"]], parts: "Parts", way: Way) -> None:
    """Run validation, then test, and show how far it is."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from tdx_eval.comparison import run

    every = [job for some in jobs.values() for job in some]
    columns = (*Progress.get_default_columns()[:3], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("chunks", total=len(every), completed=len(parts.finished))
        for _ in run(every, parts, way.backend, way.n_jobs):
            progress.advance(task)


def _finished_text(jobs: dict[str, list["Job"]], parts: "Parts") -> str:
    """Say how many chunks are finished, and how many episodes they have."""
    every = [job for some in jobs.values() for job in some]
    finished = [job for job in every if job.key in parts.finished]
    n_episodes = sum(len(job.seeds) for job in finished)
    return f"{len(finished):,} of {len(every):,} chunks ({n_episodes:,} episodes)"


def _keep(jobs: dict[str, list["Job"]], parts: "Parts", out: Path, is_mistake: bool) -> None:
    """Keep what is finished of a run that ends early and say so, or leave nothing.

    Args:
        is_mistake: Whether the run can't go on as it is: with the mistake mended it is another
            plan, which takes over what both have in common.
    """
    if not parts.finished:
        parts.remove()
        print("tdx-eval: stopped before any chunk was finished", file=sys.stderr)
        return
    mended = "with the mistake mended and --overwrite, " if is_mistake else ""
    print(
        f"tdx-eval: stopped; {_finished_text(jobs, parts)} are kept in {out}: "
        f"{mended}the same command goes on from there",
        file=sys.stderr,
    )


def _plan(
    scenarios: str,
    policies: str,
    contenders: list[str],
    seeds: tuple[int, int | None],
    overrides: dict[str, object],
) -> "Plan":
    """Return the plan; scenarios are checked before anything is compiled."""
    from tdx_env.engine.warm import warm_up
    from tdx_env.scenarios import expand, load
    from tdx_eval.plan import Plan, hand_written, large_among, validation_of

    names = expand(scenarios)
    validation = validation_of(names)
    for name in (*names, *validation):
        load(name, overrides)
    warm_up()
    n_seeds, n_large_seeds = seeds
    both = list(dict.fromkeys((*names, *validation)))
    plan = Plan(
        policies=hand_written(policies),
        contenders=contenders,
        scenarios=names,
        validation=validation,
        n_seeds=n_seeds,
        overrides=overrides,
        n_large_seeds=n_large_seeds,
        large=[] if n_large_seeds is None else large_among(both, overrides),
    )
    plan.load()
    return plan


def _compare(plan: "Plan", way: Way, table: "Table | None") -> None:
    """Run a plan, or go on with it, and show what was found."""
    from rich.console import Console

    from tdx_eval.comparison import finish, jobs_of_plan
    from tdx_eval.interrupts import interrupts_delayed, terminate_as_interrupt
    from tdx_eval.manifest import manifest
    from tdx_eval.output import REPORT
    from tdx_eval.parts import opened
    from tdx_eval.terminal import show

    jobs = jobs_of_plan(plan, way.chunk)
    keys = {job.key for some in jobs.values() for job in some}
    identity = {**manifest(plan, plan.load()), "chunk": way.chunk}
    console = Console()
    terminate_as_interrupt()
    with opened(way.out, identity, keys, way.overwrite) as parts:
        if parts.finished:
            print(f"tdx-eval: goes on: {_finished_text(jobs, parts)} are there", file=sys.stderr)
        try:
            _run(jobs, parts, way)
            with console.status("writing the report"):
                summary = finish(plan, jobs, parts, way.out, table)
        except (KeyboardInterrupt, TdxEnvError) as error:
            with interrupts_delayed():
                _keep(jobs, parts, way.out, isinstance(error, PolicyError | ScenarioError))
            if isinstance(error, TdxEnvError):
                raise
            raise SystemExit(command.INTERRUPTED) from None
    show(summary, console)
    print(f"report: {way.out / REPORT}")


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
    seeds_large: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_SEEDS,
            help="The same for scenarios of more than 10,000 events an episode, as they are "
            "measured beforehand; default: as many",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=0, max=_MAX_JOBS, help="Jobs side by side; 0: one for each CPU")
    ] = 0,
    backend: Annotated[
        str, typer.Option(help="What runs the jobs: threading, loky, sequential, dask, ray ...")
    ] = backends.DEFAULT,
    chunk: Annotated[
        int, typer.Option(min=1, max=_MAX_CHUNK, help="Episodes of a job; no result depends on it")
    ] = CHUNK,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override: costs.bare=2300; repeatable")
    ] = None,
    costs: Annotated[
        Path | None, typer.Option(help="TOML file of measured costs: bare = 2300")
    ] = None,
    reality: Annotated[
        Path | None, typer.Option(help="reality.json for a section of the report")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of an earlier run")
    ] = False,
) -> None:
    """Compare policies on the same seeds and write a report.

    A run that was stopped goes on where it was when the same command is given again.
    """
    from tdx_agents.bundle import load_manifest
    from tdx_env.scenarios import overrides_from
    from tdx_eval.output import check
    from tdx_eval.reality.file import read

    check(out, overwrite)
    backends.check(backend)
    table = None if reality is None else read(reality)
    overrides = dict(overrides_from(set_ or [], costs))
    for folder in agent or []:
        load_manifest(folder)
    contenders = [*map(str, agent or []), *(policy or [])]
    plan = _plan(scenarios, policies, contenders, (seeds, seeds_large), overrides)
    _compare(plan, Way(out, backend, jobs, chunk, overwrite), table)


app.command("reality")(reality)
app.command("costs")(costs)
app.command("losses")(losses)


def main() -> None:
    """Run the command; a mistake of the user's is one line and exit code 2."""
    command.run(app, "tdx-eval", "stopped before anything was done")


if __name__ == "__main__":
    main()
