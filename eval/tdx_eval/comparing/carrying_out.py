"""Carrying a comparison out: its jobs, and from their chunks to tables and summary."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tdx_agents.protocol import Policy
from tdx_eval.comparing.analysis import summarise
from tdx_eval.comparing.backends import run_unordered
from tdx_eval.comparing.chunks import ChunkStore
from tdx_eval.comparing.episodes import cells_table, episodes_table
from tdx_eval.comparing.jobs import Chunk, Job, jobs_of, run_job
from tdx_eval.comparing.output import (
    CELLS,
    RESULTS,
    SUMMARY,
    VALIDATION,
    remove_results,
    write_table,
    write_text,
)
from tdx_eval.comparing.plan import Plan
from tdx_eval.comparing.reckoning import reckoned
from tdx_eval.comparing.signals import interrupts_delayed
from tdx_eval.comparing.summary import Summary
from tdx_eval.comparing.summary_file import summary_json

if TYPE_CHECKING:
    import pandas as pd


def jobs_of_plan(plan: Plan, chunk: int) -> dict[str, list[Job]]:
    """Return the jobs of the validation and of the test split."""
    taking_part = {"validation": plan.policies, "test": plan.by_spec}
    return {
        split: jobs_of(some, plan.of_split(split), plan.seeds(split), plan.overrides, chunk)
        for split, some in taking_part.items()
    }


def tables(
    jobs: Sequence[Job], policies: Mapping[str, Policy], read: Callable[[str], Chunk]
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Return the episodes of jobs, and who found what busy in them.

    Neither depends on how the seeds were cut into chunks. Costs are reckoned here, by the objective
    of each job's scenario: the episodes serve all objectives.

    Args:
        jobs: As `jobs_of` returns them.
        policies: By spec.
        read: Returns the chunk of a job's key.

    Returns:
        Both ordered by scenario and policy as the jobs are; episodes then by seed, cells by name.
    """
    chunks: dict[tuple[str, str], list[Chunk]] = {}
    for job in jobs:
        chunks.setdefault((job.policy, job.scenario), []).append(read(job.key))
    keys = [(policies[spec].name, scenario) for spec, scenario in chunks]
    episodes = [np.concatenate([one.episodes for one in some]) for some in chunks.values()]
    cells = [np.concatenate([one.cells for one in some]) for some in chunks.values()]
    weights = {job.scenario: job.setup[0]["weights"] for job in jobs}
    names = [scenario for _, scenario in keys]
    costs = [reckoned(some, weights[name]) for name, some in zip(names, episodes, strict=True)]
    return episodes_table(keys, episodes, costs), cells_table(keys, cells)


def carry_out(jobs: Sequence[Job], store: ChunkStore, backend: str, n_jobs: int) -> Iterator[str]:
    """Run the jobs that are not finished, those of one key once; yield each key when it is kept.

    Args:
        jobs: The jobs.
        store: Where chunks are kept.
        backend: See `tdx_eval.comparing.backends`.
        n_jobs: See `tdx_eval.comparing.backends.n_workers`.
    """
    left = {job.key: job for job in jobs if job.key not in store.finished}
    with closing(run_unordered(run_job, [*left.values()], backend, n_jobs)) as chunks:
        for chunk in chunks:
            with interrupts_delayed():
                store.add(chunk)
            yield chunk.key


def put_together(
    plan: Plan, jobs: dict[str, list[Job]], store: ChunkStore, folder: Path
) -> Summary:
    """Put the chunks together: write the tables and the summary, in place of earlier results.

    Args:
        plan: What was compared.
        jobs: The plan's.
        store: Their chunks, all finished; stay until the report is written.
        folder: Where the results go.
    """
    episodes, cells = tables(jobs["test"], plan.by_spec, store.read)
    validation, _ = tables(jobs["validation"], plan.by_spec, store.read)
    remove_results(folder)
    for name, table in ((RESULTS, episodes), (CELLS, cells), (VALIDATION, validation)):
        write_table(folder / name, table)
    summary = summarise(plan, episodes, cells, validation)
    write_text(folder / SUMMARY, summary_json(summary))
    return summary
