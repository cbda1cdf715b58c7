"""The command `tdx-eval`: compare policies, list them."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tdx_env.errors import PolicyError, ScenarioError, TdxEnvError

if TYPE_CHECKING:
    import pandas as pd

    from eval.compare import Plan

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
_FEWEST_VALIDATION, _VALIDATION_SHARE = 10, 8


@app.command("policies")
def policies() -> None:
    """List all policies with one line each."""
    import agents

    print(agents.policies_table())


def _names(policies: str, more: list[str], agent: Path | None) -> tuple[list[str], list[str]]:
    """Return the specs of all policies, and of the learned ones among them."""
    import agents
    from eval.compare import REFERENCE

    chosen = list(agents.names()) if policies == "all" else policies.split(",")
    chosen = [agents.load(one).name for one in chosen]
    chosen = list(dict.fromkeys([REFERENCE, *chosen]))
    chosen = [n for n in agents.names() if n in chosen] + [n for n in chosen if n not in agents.names()]
    learned = [str(agent)] if agent else []
    for spec in [*more, *learned]:
        agents.load(spec)
    return [*chosen, *more, *learned], learned


def _validation_of(scenarios: list[str]) -> list[str]:
    """Return the validation splits of packaged scenarios; a user's own file stands for itself."""
    return list(
        dict.fromkeys(
            name.replace("/test", "/validation") if name.endswith("/test") else name
            for name in scenarios
        )
    )


def _run(plan: "Plan", folder: Path, n_jobs: int) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Run validation, then test; keep every finished chunk in the folder."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from eval.output import Parts
    from eval.run import jobs_of, run_all, seeds_of

    parts = {kind: Parts(folder, kind) for kind in ("validation", "test")}
    written = [name for name in plan.policies if name not in plan.learned]
    runs = {
        "validation": jobs_of(
            written, plan.validation, seeds_of("validation", plan.n_validation_seeds), plan.overrides
        ),
        "test": jobs_of(
            plan.policies, plan.scenarios, seeds_of("test", plan.n_seeds), plan.overrides
        ),
    }
    columns = (*Progress.get_default_columns()[:3], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        for kind, jobs in runs.items():
            task = progress.add_task(kind, total=len(jobs))
            for place, episodes, cells in run_all(jobs, n_jobs):
                parts[kind].add(place, episodes, cells)
                progress.advance(task)
    return parts["validation"].collect()[0], parts["test"].collect()[0]


def _finish(plan: "Plan", folder: Path) -> dict[str, Any]:
    """Put the finished chunks together and write summary and report."""
    from eval.compare import summarise
    from eval.output import CELLS, REPORT, RESULTS, VALIDATION, Parts, write_summary, write_table
    from eval.output import write_text
    from eval.report import html

    validation, _ = Parts(folder, "validation").collect()
    episodes, cells = Parts(folder, "test").collect()
    write_table(folder / VALIDATION, validation)
    write_table(folder / RESULTS, episodes)
    write_table(folder / CELLS, cells)
    shutil.rmtree(folder / "parts")
    summary = summarise(plan, episodes, cells, validation)
    write_summary(folder, summary)
    write_text(folder / REPORT, html(summary))
    return summary


def _interrupted(folder: Path) -> None:
    """Keep what is finished when a run was stopped."""
    from eval.output import RESULTS, Parts, write_table

    episodes, _ = Parts(folder, "test").collect()
    if episodes.empty:
        print("tdx-eval: stopped before any test episode had finished", file=sys.stderr)
    else:
        write_table(folder / RESULTS, episodes)
        print(
            f"tdx-eval: stopped; the {len(episodes)} finished episodes are in {folder / RESULTS}",
            file=sys.stderr,
        )
    raise SystemExit(130)


def _check(scenarios: list[str], overrides: dict[str, object], seeds: int) -> None:
    """Check what can be checked before any work."""
    from tdx_env.scenarios import load

    if seeds < 1:
        raise ScenarioError(f"--seeds {seeds}: must be at least 1")
    for name in scenarios:
        load(name, overrides)


@app.command("compare")
def compare(
    out: Annotated[Path, typer.Option(help="Folder for results and report")],
    scenarios: Annotated[str, typer.Option(help="Names, files, or a split")] = "test",
    policies: Annotated[str, typer.Option(help="'all', or names with commas")] = "all",
    policy: Annotated[list[str] | None, typer.Option(help="FILE.py:FUNCTION of your own")] = None,
    agent: Annotated[Path | None, typer.Option(help="Folder of a learned agent")] = None,
    seeds: Annotated[int, typer.Option(help="Episodes of each policy and scenario")] = 200,
    jobs: Annotated[int, typer.Option(help="Processes; 0: one a CPU")] = 0,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override: costs.bare=2300")] = None,
    costs: Annotated[Path | None, typer.Option(help="TOML file of measured costs")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the results of an earlier run")] = False,
) -> None:
    """Compare policies on the same seeds and write a report."""
    import os

    from rich.console import Console

    from eval.compare import Plan
    from eval.output import prepare
    from eval.terminal import show
    from tdx_env.engine.warm import warm_up
    from tdx_env.scenarios import expand, overrides_from

    overrides = dict(overrides_from(set_ or [], costs))
    names = expand(scenarios)
    if jobs < 0:
        raise PolicyError(f"--jobs {jobs}: must be 0 or more")
    _check(names, overrides, seeds)
    warm_up()
    chosen, learned = _names(policies, policy or [], agent)
    plan = Plan(
        policies=chosen,
        learned=learned,
        scenarios=names,
        validation=_validation_of(names),
        n_seeds=seeds,
        n_validation_seeds=max(_FEWEST_VALIDATION, seeds // _VALIDATION_SHARE),
        overrides=overrides,
    )
    prepare(out, overwrite)
    try:
        _run(plan, out, jobs or os.cpu_count() or 1)
    except KeyboardInterrupt:
        _interrupted(out)
    summary = _finish(plan, out)
    show(summary, Console())
    print(f"report: {out / 'report.html'}")


def main() -> None:
    """Run the command; a mistake of the user's is one line and exit code 2."""
    try:
        app()
    except TdxEnvError as error:
        print(f"tdx-eval: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
