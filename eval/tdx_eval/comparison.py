"""Carrying a comparison out: its jobs, and from their chunks to tables, summary and report."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tdx_eval.backends import run_unordered
from tdx_eval.compare import summarise
from tdx_eval.episodes import cells_table, episodes_table
from tdx_eval.interrupts import interrupts_delayed
from tdx_eval.output import (
    CELLS,
    REPORT,
    RESULTS,
    SUMMARY,
    VALIDATION,
    remove_results,
    write_table,
    write_text,
)
from tdx_eval.parts import Parts
from tdx_eval.plan import Plan
from tdx_eval.reality.row import Table
from tdx_eval.report import html
from tdx_eval.run import Chunk, Job, jobs_of, run_job
from tdx_eval.summary import Summary
from tdx_eval.yardsticks import load as load_policy

if TYPE_CHECKING:
    import pandas as pd


def jobs_of_plan(plan: Plan, chunk: int) -> dict[str, list[Job]]:
    """Return the jobs of the validation and of the test split."""
    everybody = [*plan.policies, *plan.contenders]
    return {
        "validation": jobs_of(plan.policies, plan.seeds("validation"), plan.overrides, chunk),
        "test": jobs_of(everybody, plan.seeds("test"), plan.overrides, chunk),
    }


def tables(
    jobs: Sequence[Job], read: Callable[[str], Chunk]
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Return the episodes of jobs, and who found what busy in them.

    Neither depends on how the seeds were cut into chunks.

    Args:
        jobs: As `jobs_of` returns them.
        read: Returns the chunk of a job's key.

    Returns:
        Both ordered by scenario and policy as the jobs are; episodes then by seed, cells by name.
    """
    chunks: dict[tuple[str, str], list[Chunk]] = {}
    for job in jobs:
        chunks.setdefault((job.policy, job.scenario), []).append(read(job.key))
    keys = [(load_policy(spec).name, scenario) for spec, scenario in chunks]
    episodes = [np.concatenate([one.episodes for one in some]) for some in chunks.values()]
    cells = [np.concatenate([one.cells for one in some]) for some in chunks.values()]
    return episodes_table(keys, episodes), cells_table(keys, cells)


def run(jobs: Sequence[Job], parts: Parts, backend: str, n_jobs: int) -> Iterator[str]:
    """Run the jobs that are not finished; yield each one's key when its chunk is kept.

    Args:
        jobs: The jobs.
        parts: Where chunks are kept.
        backend: See `tdx_eval.backends`.
        n_jobs: See `tdx_eval.backends.n_workers`.
    """
    left = [job for job in jobs if job.key not in parts.finished]
    with closing(run_unordered(run_job, left, backend, n_jobs)) as chunks:
        for chunk in chunks:
            with interrupts_delayed():
                parts.add(chunk)
            yield chunk.key


def finish(
    plan: Plan, jobs: dict[str, list[Job]], parts: Parts, folder: Path, reality: Table | None
) -> Summary:
    """Put the chunks together; write tables, summary and report; remove the chunks.

    Args:
        plan: What was compared.
        jobs: The plan's.
        parts: Their chunks, all finished.
        folder: Where the results go.
        reality: The reality table, for a section of the report.
    """
    episodes, cells = tables(jobs["test"], parts.read)
    validation, _ = tables(jobs["validation"], parts.read)
    remove_results(folder)
    for name, table in ((RESULTS, episodes), (CELLS, cells), (VALIDATION, validation)):
        write_table(folder / name, table)
    summary = summarise(plan, episodes, cells, validation)
    write_text(folder / SUMMARY, json.dumps(summary.as_json(), indent=1, allow_nan=False) + "\n")
    write_text(folder / REPORT, html(summary, reality))
    parts.remove()
    return summary
