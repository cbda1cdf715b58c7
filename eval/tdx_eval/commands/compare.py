"""The command `tdx-eval compare`."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_env import command
from tdx_env.errors import PolicyError, ScenarioError, TdxEnvError
from tdx_eval.commands.libraries import need
from tdx_eval.commands.machine import KernelOption, ModuleOption
from tdx_eval.commands.overwriting import OverwriteOption
from tdx_eval.comparing import backends
from tdx_eval.comparing.seeds import CHUNK, MAX_SEEDS

if TYPE_CHECKING:
    from tdx_eval.comparing.chunks import ChunkStore
    from tdx_eval.comparing.jobs import Job
    from tdx_eval.comparing.plan import Plan
    from tdx_eval.comparing.summary import Summary
    from tdx_eval.reality.row import RealityTable

_MAX_JOBS = 1024
_MAX_CHUNK = 1 << 14
_LIBRARIES = ("pandas", "pyarrow", "vl_convert", "jinja2", "joblib")


@dataclass(frozen=True)
class Way:
    """How a plan is carried out; no result depends on it.

    Attributes:
        out: Folder for results.
        backend: See `tdx_eval.comparing.backends`.
        n_jobs: Jobs side by side; 0: one for each CPU.
        chunk: Episodes of a job.
        overwrite: Whether earlier results may be replaced.
    """

    out: Path
    backend: str
    n_jobs: int
    chunk: int
    overwrite: bool


def _run(jobs: dict[str, list["Job"]], store: "ChunkStore", way: Way) -> None:
    """Run validation, then test, and show how far it is."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from tdx_eval.comparing.carrying_out import carry_out

    every = [job for some in jobs.values() for job in some]
    columns = (*Progress.get_default_columns()[:3], MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, transient=True, console=console, disable=not console.is_terminal
    ) as progress:
        n_chunks = len({job.key for job in every})
        task = progress.add_task("chunks", total=n_chunks, completed=len(store.finished))
        for _ in carry_out(every, store, way.backend, way.n_jobs):
            progress.advance(task)


def _finished_text(jobs: dict[str, list["Job"]], store: "ChunkStore") -> str:
    """Say how many chunks are finished, and how many episodes they have."""
    every = {job.key: job for some in jobs.values() for job in some}
    finished = [job for key, job in every.items() if key in store.finished]
    n_episodes = sum(len(job.seeds) for job in finished)
    return f"{len(finished):,} of {len(every):,} chunks ({n_episodes:,} episodes)"


def _keep(jobs: dict[str, list["Job"]], store: "ChunkStore", out: Path, is_mistake: bool) -> None:
    """Keep what is finished of a run that ends early and say so, or leave nothing.

    Args:
        jobs: The plan's.
        store: Their chunks.
        out: Folder for results.
        is_mistake: Whether the run can't go on as it is: with the mistake mended it is another
            plan, which takes over what both have in common.
    """
    if not store.finished:
        store.remove()
        print("tdx-eval: stopped before any chunk was finished", file=sys.stderr)
        return
    mended = "with the mistake mended and --overwrite, " if is_mistake else ""
    print(
        f"tdx-eval: stopped; {_finished_text(jobs, store)} are kept in {out}: "
        f"{mended}the same command goes on from there",
        file=sys.stderr,
    )


def _write_report(
    plan: "Plan", summary: "Summary", table: "RealityTable | None", out: Path
) -> None:
    """Write the report, with timelines of its scenarios and the reality table if there is one."""
    from tdx_eval.comparing.output import REPORT, write_text
    from tdx_eval.forking.page import fork_pictures
    from tdx_eval.reality.page import reality_section
    from tdx_eval.reporting.html import NOTHING_MORE, report_page
    from tdx_eval.sweeping.page import sweep_section

    appendix = NOTHING_MORE if table is None else reality_section(table)
    appendix = sweep_section(summary) + appendix
    write_text(out / REPORT, report_page(summary, appendix, fork_pictures(plan.scenarios)))


def _carried_out(
    plan: "Plan", jobs: dict[str, list["Job"]], store: "ChunkStore", way: Way,
    table: "RealityTable | None",
) -> "Summary":  # fmt: skip
    """Run what is left of a plan and write its results; what is finished stays if it ends early."""
    from rich.console import Console

    from tdx_eval.comparing.carrying_out import put_together
    from tdx_eval.comparing.signals import interrupts_delayed

    try:
        _run(jobs, store, way)
        with Console(stderr=True).status("writing the report"):
            summary = put_together(plan, jobs, store, way.out)
            _write_report(plan, summary, table, way.out)
            store.remove()
    except (KeyboardInterrupt, TdxEnvError) as error:
        with interrupts_delayed():
            _keep(jobs, store, way.out, isinstance(error, PolicyError | ScenarioError))
        if isinstance(error, TdxEnvError):
            raise
        raise SystemExit(command.INTERRUPTED) from None
    return summary


def _compared(plan: "Plan", way: Way, table: "RealityTable | None") -> "Summary":
    """Run a plan, or go on with it; return what was found."""
    from tdx_eval.comparing.carrying_out import jobs_of_plan
    from tdx_eval.comparing.chunks import opened
    from tdx_eval.comparing.machine import counterfactual_notes
    from tdx_eval.comparing.manifest import manifest
    from tdx_eval.comparing.signals import terminate_as_interrupt

    for note in counterfactual_notes(plan.scenarios.values(), plan.by_spec.values()):
        print(f"tdx-eval: note: {note}", file=sys.stderr)
    jobs = jobs_of_plan(plan, way.chunk)
    keys = {job.key for some in jobs.values() for job in some}
    identity = {**manifest(plan), "chunk": way.chunk}
    terminate_as_interrupt()
    with opened(way.out, identity, keys, way.overwrite) as store:
        if store.finished:
            print(f"tdx-eval: goes on: {_finished_text(jobs, store)} are there", file=sys.stderr)
        if store.n_dropped:
            said = (
                f"{store.n_dropped:,} chunks are of no use here (other code, another plan, damaged)"
            )
            print(f"tdx-eval: note: {said}", file=sys.stderr)
        return _carried_out(plan, jobs, store, way, table)


def _for_precision(plan: "Plan", wanted: float) -> "Plan":
    """Return a plan that wants a precision, with the fewest seeds that tell one at least."""
    from tdx_eval.comparing.precision import FEWEST_SEEDS

    n_large = plan.n_large_seeds and max(plan.n_large_seeds, FEWEST_SEEDS)
    n_seeds = max(plan.n_seeds, FEWEST_SEEDS)
    return replace(plan, precision=wanted, n_seeds=n_seeds, n_large_seeds=n_large)


def _to_precision(plan: "Plan", way: Way, table: "RealityTable | None") -> "Summary":
    """Run a plan, with more seeds until its intervals are as narrow as it wants."""
    from tdx_eval.comparing.precision import seeds_needed

    summary = _compared(plan, way, table)
    while plan.precision is not None:
        needed = seeds_needed(summary, plan.precision)
        if not needed:
            break
        print(f"tdx-eval: plays {needed:,} seeds for --precision", file=sys.stderr)
        plan = replace(plan, n_seeds=needed, n_large_seeds=None, large=())
        summary = _compared(plan, replace(way, overwrite=True), table)
    return summary


def _compare(plan: "Plan", way: Way, table: "RealityTable | None") -> None:
    """Run a plan, or go on with it, and show what was found."""
    from rich.console import Console

    from tdx_eval.comparing.output import REPORT
    from tdx_eval.comparing.precision import precision_text
    from tdx_eval.reporting.terminal import show_summary

    summary = _to_precision(plan, way, table)
    told = precision_text(summary)
    if told:
        print(f"tdx-eval: {told}", file=sys.stderr)
    show_summary(summary, Console())
    print(f"report: {way.out / REPORT}")


def compare(
    out: Annotated[Path, typer.Option(help="Folder for results and report")],
    scenarios: Annotated[
        str, typer.Option(help="Names, files, or a split, with commas between")
    ] = "test",
    policies: Annotated[
        str, typer.Option(help="'all', or names and numbers with commas between")
    ] = "all",
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            help="FIELD=VALUE,VALUE: a row for each value of a number of the discipline, as "
            "max_issues=1,2,4,8; repeatable"
        ),
    ] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="FILE.py:FUNCTION of your own; repeatable")
    ] = None,
    agent: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a learned agent, or a shipped one's name; repeatable"),
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
    precision: Annotated[
        str | None,
        typer.Option(
            help="Play more seeds until intervals of the first screen are within so much, as 1%"
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
    module: ModuleOption = None,
    kernel: KernelOption = None,
    objective: Annotated[
        str | None,
        typer.Option(help="What costs: a preset, or weights as host=1,stolen=0.5; default: thread"),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override: costs.bare=2300; repeatable")
    ] = None,
    costs: Annotated[
        Path | None, typer.Option(help="TOML file of measured costs: bare = 2300")
    ] = None,
    reality: Annotated[
        Path | None, typer.Option(help="reality.json for a section of the report")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Compare policies on the same seeds and write a report.

    A run that was stopped goes on where it was when the same command is given again.
    """
    from tdx_agents.bundle import load_manifest
    from tdx_agents.shipped import shipped_folder
    from tdx_env.scenarios import expand, overrides_from
    from tdx_env.state.objectives import objective_name
    from tdx_eval.comparing.machine import Choice
    from tdx_eval.comparing.output import check_folder
    from tdx_eval.comparing.plan import planned
    from tdx_eval.comparing.precision import share_from
    from tdx_eval.reality.file import read_table
    from tdx_eval.sweeping.specs import with_sweeps

    need("tdx-eval compare", _LIBRARIES)
    check_folder(out, overwrite)
    backends.check_backend(backend)
    wanted = None if precision is None else share_from("--precision", precision)
    table = None if reality is None else read_table(reality)
    overrides = overrides_from(set_ or [], costs) | Choice(module, kernel).overrides
    if objective is not None:
        overrides["objective"] = objective_name(objective)
    for folder in agent or []:
        load_manifest(shipped_folder(str(folder)) or folder)
    contenders = [*map(str, agent or []), *(policy or [])]
    rows = with_sweeps(policies, sweep or [])
    plan = planned(expand(scenarios), rows, contenders, (seeds, seeds_large), overrides)
    plan = plan if wanted is None else _for_precision(plan, wanted)
    _compare(plan, Way(out, backend, jobs, chunk, overwrite), table)
